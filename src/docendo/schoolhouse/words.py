"""The schoolhouse's word stock: everything its problems may say, and so all that its models can read.

Only words live here; what a problem means is `world`'s business. A changed stock means a new tokenizer and
newly schooled models.
"""

from __future__ import annotations

from itertools import product

# A theme: who is speaking of it, and five things that can be counted in it.
THEMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("A baker", ("trays", "buns", "rolls", "loaves", "pies")),
    ("A farmer", ("fields", "cows", "goats", "sheep", "ducks")),
    ("A gardener", ("beds", "tulips", "roses", "lilies", "weeds")),
    ("A teacher", ("classes", "pupils", "desks", "chairs", "rulers")),
    ("A librarian", ("shelves", "books", "maps", "scrolls", "cards")),
    ("A sailor", ("boats", "sails", "ropes", "oars", "anchors")),
    ("A driver", ("buses", "seats", "tickets", "stops", "tyres")),
    ("A tailor", ("coats", "buttons", "pockets", "threads", "needles")),
    ("A cook", ("pots", "spoons", "eggs", "onions", "carrots")),
    ("A painter", ("walls", "brushes", "tins", "frames", "canvases")),
    ("A doctor", ("wards", "patients", "pills", "masks", "gloves")),
    ("A miner", ("carts", "stones", "lamps", "picks", "nuggets")),
    ("A potter", ("kilns", "bowls", "cups", "jugs", "plates")),
    ("A fisher", ("nets", "trout", "crabs", "hooks", "buckets")),
    ("A builder", ("houses", "bricks", "doors", "windows", "tiles")),
    ("A florist", ("vases", "stems", "petals", "ribbons", "wreaths")),
    ("A postman", ("bags", "letters", "parcels", "stamps", "bills")),
    ("A knight", ("castles", "swords", "shields", "horses", "banners")),
    ("A pirate", ("chests", "coins", "jewels", "pearls", "keys")),
    ("A wizard", ("towers", "wands", "potions", "spells", "toads")),
    ("A singer", ("choirs", "songs", "notes", "drums", "flutes")),
    ("A dancer", ("stages", "steps", "shoes", "skirts", "spins")),
    ("A runner", ("tracks", "laps", "races", "medals", "bottles")),
    ("A keeper", ("cages", "parrots", "lions", "monkeys", "snakes")),
    ("A clerk", ("drawers", "files", "forms", "pens", "clips")),
    ("A grocer", ("crates", "apples", "pears", "plums", "lemons")),
    ("A dairyman", ("barrels", "cheeses", "churns", "pats", "jars")),
    ("A carpenter", ("benches", "planks", "nails", "hinges", "saws")),
    ("A jeweller", ("boxes", "rings", "chains", "brooches", "clasps")),
    ("A shepherd", ("hills", "lambs", "bells", "crooks", "fleeces")),
    ("A beekeeper", ("hives", "bees", "combs", "queens", "candles")),
    ("A printer", ("presses", "pages", "posters", "inks", "sheets")),
    ("A pilot", ("planes", "flights", "engines", "bolts", "charts")),
    ("A scout", ("tents", "packs", "torches", "badges", "knots")),
    ("A chemist", ("racks", "flasks", "tubes", "drops", "powders")),
    ("A barber", ("mirrors", "combings", "razors", "towels", "wigs")),
    ("A butcher", ("counters", "hams", "chops", "sausages", "ribs")),
    ("A brewer", ("vats", "kegs", "mugs", "hops", "corks")),
    ("A weaver", ("looms", "rugs", "shawls", "spools", "dyes")),
    ("A juggler", ("acts", "balls", "hoops", "clubs", "hats")),
    ("A banker", ("vaults", "bonds", "loans", "cheques", "seals")),
    ("A ranger", ("forests", "oaks", "pines", "foxes", "owls")),
    ("A diver", ("reefs", "shells", "corals", "tanks", "fins")),
    ("A judge", ("courts", "cases", "claims", "fines", "robes")),
    ("A poet", ("volumes", "poems", "verses", "lines", "rhymes")),
    ("A mason", ("arches", "slabs", "chisels", "columns", "vents")),
    ("A waiter", ("tables", "guests", "forks", "knives", "napkins")),
    ("A smith", ("forges", "hammers", "blades", "rivets", "spurs")),
)

# How the quantities are told; {0}.. are "number label" pairs. Three things or four.
TELLINGS: dict[int, tuple[str, ...]] = {
    3: (
        "{actor} has {0}, {1} and {2}.",
        "{actor} counts {0} with {1} and {2}.",
        "There are {0}, {1} and also {2}.",
        "{actor} begins with {0}, {1} and {2}.",
    ),
    4: (
        "{actor} has {0}, {1}, {2} and {3}.",
        "{actor} counts {0} with {1}, {2} and {3}.",
        "There are {0}, {1}, {2} and also {3}.",
        "{actor} begins with {0}, {1}, {2} and {3}.",
    ),
}

ASKINGS: tuple[str, ...] = ("How many?", "How many now?", "What is the count?")

# Everyday phrases; {x}, {y}, {z} are labels of the first three things. Each stands for one method (`world`).
PHRASES: tuple[str, ...] = (
    "The {z} are gone.",
    "The {z} are gone from each.",
    "The {z} are added.",
    "The {z} are added to each.",
    "The {z} are taken first.",
    "The {z} are joined first.",
    "The {z} are gone twice.",
    "The {z} are added twice.",
    "The {y} are gone from each.",
    "The {y} are added to each.",
    "All are doubled, the {z} are gone.",
    "All are doubled, the {z} are added.",
)

# An arbitrary named rule: its name says nothing of its method, so it must be learnt or shown.
RULE = "Use the {rule} rule."

OPERATIONS: tuple[str, ...] = ("plus", "minus", "times")

# The largest number a problem may hold; numbers are single tokens, so this bounds the vocabulary.
LARGEST = 200


def rule_names() -> tuple[str, ...]:
    """The invented rule names, in a fixed order (216 of them)."""
    heads, middles, tails = (
        ("B", "D", "G", "K", "M", "P", "R", "T", "V"),
        ("a", "e", "i", "o"),
        ("lk", "nd", "rn", "sk", "tz", "x"),
    )
    return tuple(h + m + t for h, m, t in product(heads, middles, tails))
