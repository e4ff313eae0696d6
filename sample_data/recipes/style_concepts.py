"""Which Twemoji graphics teach the style, and which everyday concepts are kept out of it to measure the style on.

In: nothing. Out: two disjoint lists of emojibase labels. The starter has met all of the first and 94 of the second in other styles, so that it can know the things
without knowing the style: taught things that it did not know, it learnt those instead, and forgot others. No flags, letters, faces of people or gestures.
"""

from __future__ import annotations

TRAINING = tuple(
    """monkey|unicorn|zebra|pig|camel|giraffe|hedgehog|bat|polar bear|koala|rooster|baby chick|swan|flamingo|
    parrot|crocodile|tropical fish|lady beetle|cherry blossom|tulip|seedling|potted plant|evergreen tree|
    deciduous tree|four leaf clover|grapes|lemon|green apple|peach|pear|blueberries|kiwi fruit|coconut|eggplant|
    hot pepper|broccoli|bread|croissant|pretzel|french fries|popcorn|cookie|chocolate bar|lollipop|honey pot|
    glass of milk|teapot|cocktail glass|bubble tea|volcano|desert island|castle|locomotive|ambulance|police car|
    taxi|racing car|vertical traffic light|flying saucer|luggage|alarm clock|crescent moon|ringed planet|cloud|
    rainbow|fire|jack-o-lantern|balloon|trophy|bullseye|sunglasses|necktie|jeans|socks|handbag|
    high-heeled shoe|top hat|graduation cap|lipstick|gem stone|megaphone|headphone|musical keyboard|camera|candle|
    money bag|axe|shield|magnet|test tube|microscope|bed|toilet|bucket|shopping cart|skull|ghost|alien|robot|
    red heart|delivery truck|droplet|game die|ring|trumpet|mobile phone|battery|laptop|envelope|package|pencil|
    paintbrush|hammer|bomb|gear|door|chair|bathtub""".replace("\n    ", "").split("|")
)  # fmt: skip

HELD_OUT = tuple(
    """dog|fox|cat|lion|tiger|horse|cow|goat|elephant|mouse|rabbit|bear|panda|skunk|chicken|bird|penguin|duck|owl|frog|turtle|snake|
    t-rex|whale|fish|shark|octopus|crab|snail|butterfly|honeybee|spider|rose|sunflower|palm tree|cactus|maple leaf|mushroom|
    watermelon|banana|pineapple|red apple|cherries|strawberry|tomato|avocado|carrot|ear of corn|pancakes|cheese wedge|hamburger|
    pizza|hot dog|taco|egg|sushi|ice cream|doughnut|birthday cake|cupcake|candy|hot beverage|wine glass|beer mug|house|tent|bus|
    fire engine|automobile|tractor|motorcycle|bicycle|skateboard|anchor|sailboat|airplane|helicopter|rocket|sun|star|umbrella|
    snowman|christmas tree|wrapped gift|soccer ball|basketball|teddy bear|t-shirt|dress|backpack|running shoe|crown|bell|guitar|
    drum|television|light bulb|books|scissors|key""".replace("\n    ", "").split("|")
)  # fmt: skip
