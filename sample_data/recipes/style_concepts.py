"""Which Twemoji graphics teach the style, and which everyday concepts are kept out of it to measure the style on.

In: nothing. Out: two disjoint lists of emojibase labels. Both stand in Fluent and Noto too, so a base can know the things
without knowing the style. No flags, letters, symbols, faces of people or gestures.
"""

from __future__ import annotations

TRAINING = tuple(
    """monkey|gorilla|poodle|wolf|raccoon|leopard|donkey|unicorn|zebra|deer|pig|boar|ram|camel|llama|giraffe|rhinoceros|hippopotamus|
    hamster|chipmunk|beaver|hedgehog|bat|polar bear|koala|sloth|otter|kangaroo|badger|turkey|rooster|baby chick|dove|eagle|swan|
    flamingo|peacock|parrot|crocodile|lizard|dragon|sauropod|seal|tropical fish|blowfish|squid|spiral shell|coral|jellyfish|lobster|
    shrimp|bug|ant|beetle|lady beetle|scorpion|worm|bouquet|cherry blossom|hibiscus|lotus|tulip|hyacinth|seedling|potted plant|
    evergreen tree|deciduous tree|four leaf clover|fallen leaf|nest with eggs|grapes|melon|lemon|mango|green apple|peach|pear|
    blueberries|kiwi fruit|coconut|eggplant|potato|hot pepper|bell pepper|cucumber|broccoli|garlic|onion|peanuts|chestnut|pea pod|
    bread|croissant|pretzel|bagel|waffle|meat on bone|poultry leg|bacon|french fries|sandwich|burrito|pot of food|green salad|
    popcorn|butter|canned food|bento box|rice ball|steaming bowl|spaghetti|fried shrimp|dango|dumpling|fortune cookie|
    soft ice cream|cookie|shortcake|pie|chocolate bar|lollipop|honey pot|glass of milk|teapot|bottle with popping cork|
    cocktail glass|tropical drink|cup with straw|bubble tea|beverage box|kitchen knife|amphora|volcano|desert island|castle|
    ferris wheel|locomotive|monorail|ambulance|police car|taxi|pickup truck|articulated lorry|racing car|motor scooter|
    auto rickshaw|kick scooter|roller skate|fuel pump|wheel|vertical traffic light|ring buoy|speedboat|passenger ship|parachute|
    satellite|flying saucer|luggage|alarm clock|crescent moon|ringed planet|cloud|rainbow|snowflake|fire|jack-o-lantern|balloon|
    party popper|trophy|baseball|volleyball|american football|boxing glove|ice skate|sled|bullseye|yo-yo|kite|crystal ball|joystick|
    puzzle piece|yarn|sunglasses|necktie|jeans|gloves|socks|kimono|shorts|handbag|thong sandal|hiking boot|high-heeled shoe|
    woman’s hat|top hat|graduation cap|lipstick|gem stone|megaphone|headphone|radio|saxophone|accordion|musical keyboard|banjo|
    maracas|printer|clapper board|camera|candle|flashlight|red paper lantern|money bag|fountain pen|crayon|briefcase|pushpin|axe|
    bow and arrow|shield|carpentry saw|screwdriver|toolbox|magnet|ladder|test tube|microscope|pill|bed|toilet|lotion bottle|bucket|
    toothbrush|fire extinguisher|shopping cart""".replace("\n    ", "").split("|")
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
