"""The words and sentences from which `make_orders.py` builds its messages.

In a sentence, `{n}` is an item with its quantity ("two mugs", "one mug"), `{many}` the same from two upwards,
`{item}` and `{items}` the item in the singular and the plural, `{id}` the order number and `{name}` the customer.
"""

from __future__ import annotations

ITEMS = """
apron, armchair, backpack, bath mat, birdhouse, blanket, bookshelf, bread knife, bucket, cake tin, candle,
chopping board, coat rack, coffee grinder, cushion, desk lamp, dinner plate, dog bed, door handle, doormat,
drill, fishing rod, folding chair, frying pan, fruit bowl, garden hose, glass jar, hammer, hand towel,
ironing board, kettle, ladder, laundry basket, lunch box, mattress, mirror, mug, notebook, oil lamp, paint
brush, photo frame, picnic basket, pillow, plant pot, raincoat, rolling pin, rug, salad bowl, scarf,
screwdriver, shelf, shower curtain, sleeping bag, spice rack, stool, suitcase, teapot, tent, toaster,
toolbox, torch, umbrella, vase, watering can, wine glass, yoga mat
"""

PLURALS = {
    "bookshelf": "bookshelves", "bread knife": "bread knives", "scarf": "scarves", "shelf": "shelves",
}  # fmt: skip

NUMBER_WORDS = {
    2: ("two", "a couple of"), 3: ("three",), 4: ("four",), 5: ("five",), 6: ("six",),
    7: ("seven",), 8: ("eight",), 9: ("nine",), 10: ("ten",), 11: ("eleven",), 12: ("twelve", "a dozen"),
    20: ("twenty",),
}  # fmt: skip

NAMES = """
Aaliyah Adaeze Agnieszka Aino Akira Alejandra Amara Anneke Anouk Antoine Ayesha Beatriz Björn Bronwyn
Camille Carlos Chidi Chiara Ciarán Dagny Dariusz Deepak Dimitra Eilidh Elif Emre Esperanza Fatima Femke
Fiona Françoise Giulia Gwen Hamza Hannah Haruki Ibrahim Ingrid Ioana Iris Jakub Jasmine Jiho João Jürgen
Kamala Katarzyna Kofi Kwame Lars Leila Linh Ludmila Magnus Malik Marek Mariana Mei Mercy Milan Nadia Naveen
Niamh Noor Olga Omar Oskar Paola Petra Priya Rafael Renata Ruth Sanjay Saoirse Sigrid Simone Stefan Sven
Tamika Tariq Thandi Tomasz Ulla Valentina Vikram Wanjiru Wei Yara Yusuf Zainab Zsófia
"""

SURNAMES = """
Adeyemi Almeida Andersen Baker Bianchi Castillo Chen Costa Demir Eriksson Fischer Garcia Haddad Hughes
Ivanova Jansen Kaya Khan Kowalski Lindqvist Marino Mensah Moreau Murphy Nakamura Nguyen Novak Okafor Osei
Papadakis Patel Popescu Reyes Rossi Schmidt Silva Singh Tanaka Virtanen Walsh Weber Wójcik Yilmaz
"""

OPENINGS = [
    "Hi,", "Hello,", "Hey,", "Hi there.", "Good morning.", "Good evening,", "Hello again.", "Bonjour,",
    "Hola,", "Dear shop,", "Hey team,", "Morning.", "Hallo,", "Ciao,", "Sorry to bother you.", "Me again.",
    "To whom it may concern,", "Quick one.", "Hi, hope you are well.", "Greetings from the coast.",
    "Excuse me,", "ok so", "Right,", "Evening all,",
]  # fmt: skip

INTRODUCTIONS = [
    "This is {name}.", "My name is {name}.", "{name} here.", "I'm {name}.",
]  # fmt: skip

SIGNATURES = [
    "Thanks, {name}", "- {name}", "Cheers, {name}", "Best, {name}", "Regards, {name}", "Many thanks, {name}",
]  # fmt: skip

CLOSINGS = [
    "Thanks.", "Thank you so much.", "Have a nice day.", "Let me know.", "That is all.",
    "Sorry for the long message.",
]  # fmt: skip

HURRIES = [
    "It's urgent.", "No rush.", "I need it this week.", "As soon as possible please.", "ASAP please.",
    "I'm in a hurry.", "Take your time.", "By Friday at the latest.", "We leave tomorrow.", "Please hurry.",
    "It can wait.",
]  # fmt: skip

FILLERS = [
    "It has been raining here all week.", "The dog barked at your driver again.",
    "My sister loves your shop.", "I have been a customer for years.", "My son says you are the best.",
    "Your shop smells wonderful.", "I tried the website but it kept freezing.",
    "Excuse my English, I am still learning.", "I am typing this on the train.",
    "My neighbour told me to write here.", "We have guests coming.", "The kids never sit still.",
    "I waited on hold for ages before this.", "I paid by card.", "I always forget how this works.",
    "My glasses are dirty so forgive the spelling.", "We just came back from Porto.",
    "The last delivery was perfect by the way.", "I live at the end of the lane.",
    "My boss is watching me type.", "It is a surprise for Grandma.", "I wrote to you in March as well.",
    "The old one lasted for years.", "Your colleague was very kind.",
    "I hope this reaches the right person.", "The weather is awful.", "My phone is nearly empty.",
    "I did read the leaflet, honestly.", "We got married on Saturday.", "Long story short.",
    "I don't have a printer at home.", "My daughter set up this chat for me.",
    "The cat is fine, thank you for asking.", "I work nights so mornings are bad.",
    "Nobody picked up when I rang.", "I know you are busy.", "It's for the school play.",
    "We are a small cafe by the sea.", "The children helped me write this.",
]  # fmt: skip

CASUAL = {
    "please": "pls", "thanks": "thx", "you": "u", "are": "r", "because": "cuz", "want to": "wanna",
    "and": "&", "before": "b4", "your": "ur", "going to": "gonna", "with": "w", "about": "abt",
}  # fmt: skip

TRAINING = {
    "buy": [
        "I'd like to order {n}.",
        "Can I get {n} sent to my place?",
        "We need {n} for the office.",
        "Could I place an order for {n}?",
        "{n}, that's all I need today.",
        "Do you still take orders by chat? If so, {n} for me.",
        "I want to buy {n}, same kind as last time.",
        "Please start a new order: {n}.",
        "I thought about it all week and now I am buying {n}.",
        "My wife sent me here to get {n}.",
        "Send {n} to my usual address.",
        "How do I buy {n} from you?",
        "Looking to purchase {n}.",
        "Is it possible to have {n} delivered?",
        "New order. {n}. Nothing else.",
        "I'm after some {items} for the garden party.",
        "I saw the {items} in your window and I want to buy some.",
        "Please sell me {n}.",
        "I want {n} delivered, the colour doesn't matter.",
        "I will take {n} please.",
        "Would love to have {n}, do you sell them?",
        "Put {n} in a parcel and send it over.",
    ],
    "track": [
        "Is the {item} on {id} on its way to me?",
        "What happened to the delivery of my {items}?",
        "Has {id} with the {items} been sent?",
        "Please check where my {item} is, order {id}.",
        "Where is my {item}? It is order {id}.",
        "Any news on the delivery of {id}, the {items}?",
        "I'm still waiting for the {item} from order {id}.",
        "Where are the {items} from order {id}? Have they been sent?",
        "When will my {items} arrive? The order number is {id}.",
        "The tracking page says nothing about my {item}, order #{id}.",
        "Can you tell me where the {item} is right now?",
        "I ordered {n} and heard nothing since. Where is the parcel?",
        "{id} with my {item} should have been here on Monday. Where is it?",
        "Did you ship the {items} on order no. {id}?",
        "What about the delivery of my {item}? It was order {id}.",
        "We expected {many} this week, what day do they come? It is order {id}.",
        "My parcel is late, it was for {n}. Where is it now?",
        "Please find out where {id} is now, it is the {item}.",
        "What is the status of order {id} with the {items}?",
        "The courier never came with my {item}. Is it on its way?",
        "No {item} came today, where is #{id}?",
        "How long until my {item} gets here? {id} is the number.",
        "I keep looking out of the window for the {items}. Are they coming?",
        "Do you know the delivery date of the {item} on {id}?",
    ],
    "cancel": [
        "Can you stop the {item} on order #{id}? I don't want it now.",
        "I would like to cancel {n} on {id}.",
        "Please take the {items} off, I am cancelling {id}.",
        "Please cancel order {id}, the {items}.",
        "I don't want the {item} any more, cancel {id}.",
        "Stop order #{id} with the {item} before it ships.",
        "Can I still cancel {id}? It was {n}.",
        "Forget about the {items}, I found them cheaper. Cancel order {id}.",
        "I ordered {n} by mistake, please cancel it.",
        "Kindly cancel the {item} on order {id}.",
        "Cancel {id} with {many}, we don't need them.",
        "My husband already got the {item} elsewhere, so cancel our order {id}.",
        "Cancel the {items} from {id}, I changed my mind.",
        "The order for {n} should not go out. Cancel it.",
        "We have to cancel {id}, nobody needs the {items} now.",
        "No longer need the {item}, so please cancel {id}.",
        "Is it too late to cancel my {item}?",
        "I want to cancel the {item} from my order no. {id} please.",
        "I pressed the button twice, so cancel the {item} on {id}.",
        "I'm out of money this month, so no {item} for me. Cancel {id}.",
        "Cancel the order with {n}, I don't want it.",
        "Don't send the {items}, cancel {id}.",
        "Could you stop {id}? The {item} is not needed any longer.",
    ],
    "change": [
        "The quantity on {id} should go to {n}.",
        "Please edit {id}, there should be {many} in it.",
        "I want to change the amount on my order {id}, make it {n}.",
        "Instead of what I said, please put {n} on {id}.",
        "Make it {n} instead on order {id}.",
        "Please change {id} to {n}.",
        "On order {id} I need {many}, not one.",
        "Can you change {id}? I need {many} now.",
        "I asked for too few, so change {id} to {many}.",
        "Update my order #{id} to {n}.",
        "Our group got smaller, so change {id} to {n}.",
        "Could you change {id} down to {n}?",
        "I typed the wrong amount, {n} is what I meant for {id}.",
        "Set the amount on {id} to {n}, the rest stays.",
        "Is there still time to change my order to {n}?",
        "Correct {id} please, it has to be {n}.",
        "I already ordered but now we need {many} in all. Please change it.",
        "Change of plan: {n} on {id} rather than what I said.",
        "Order {id} has the wrong number, make it {n}.",
        "Please amend no. {id} so that it says {n}.",
        "Can {id} be altered? I want {many} in it now.",
        "Edit my order from this morning, it should say {n}.",
        "Switch {id} over, make it {n}.",
        "Adjust {id} so that I get {many} in total.",
    ],
    "return": [
        "Where can I post back the {item} from order {id}?",
        "I don't want to keep {many}, how do I return them? Order {id}.",
        "I want to return {n} from order {id}.",
        "How do I send back the {item}?",
        "The {item} doesn't suit our hall, can I bring it back? Order {id}.",
        "I'd like to give back {many}, they were the wrong colour for me.",
        "Please send a return label for the {item} on {id}.",
        "We are returning {many} out of {id}.",
        "Can I post the {items} back to you?",
        "The {item} is nice but too big, so I am sending it back.",
        "Return for order #{id}, it is the {item}.",
        "Take back {n} please, I have too many now.",
        "I need a refund for the {items} on {id} and will post them back.",
        "My mother did not like the {item}, I want to return it.",
        "What is the way to return {n}? Bought under {id}.",
        "I never even unwrapped the {items}. May I send them back? {id}.",
        "The {item} from {id} goes back to you, where do I drop it off?",
        "Could the driver take back {n} that I don't want to keep?",
        "I'm bringing the {item} on order {id} back to the shop.",
        "Sending {n} back, the size is wrong. Order no. {id}.",
        "I want my money back for the {item}, it is still wrapped and I'll return it.",
        "The {items} go back, they don't match our sofa. {id}.",
    ],
    "problem": [
        "The {items} on {id} were ruined.",
        "There is a fault in the {item} that came today.",
        "The {item} arrived broken.",
        "{many} from order {id} came damaged.",
        "You forgot {n} when you packed parcel {id}.",
        "You sent me the wrong {item}, order {id}.",
        "The box of {id} came damaged and the {items} are missing.",
        "My {item} fell to bits after a day.",
        "I opened {id} and the {item} inside was wet.",
        "The box was crushed and {many} are in pieces.",
        "The {item} in {id} has a big scratch.",
        "I got somebody else's {item} under {id}.",
        "The {items} smell of smoke, that is not right. Order #{id}.",
        "{many} fell apart when I unpacked them.",
        "A part is missing from the {item}.",
        "The {item} in {id} is the wrong one.",
        "The {item} left black marks all over the floor.",
        "{many} turned up dirty, see order {id}.",
        "I'm not happy, the {item} from {id} is damaged.",
        "Something is wrong with the {items}, the paint comes off.",
        "Order no. {id} was short, there should be {many} more in it.",
        "The {item} you sent has clearly been used by somebody else.",
    ],
}

HELD_OUT = {
    "buy": [
        "I would like {n}, delivered to my door.",
        "Could I have {n} please?",
        "Please reserve and ship {n} for me.",
        "I need to buy {n} for our new kitchen.",
        "Time to stock up, so {n} this month.",
        "Can you sell me some {items}?",
        "Time for a new order, {n} this time.",
    ],
    "track": [
        "Could you check where the {item} is? Order {id}.",
        "Is my {item} from {id} on the way?",
        "I've been waiting for {many} since last week, where are they?",
        "Do you know when order {id} with the {items} will arrive?",
        "No sign of the {item} yet, where did {id} go?",
        "What is happening with the delivery of the {items}?",
        "I would like to know the status of my {item}, #{id}.",
    ],
    "cancel": [
        "I need you to cancel the {items} on {id} for me.",
        "Please don't ship the {item}, I want to cancel. Order {id}.",
        "Cancel the {item} under {id}.",
        "We no longer want {n}, please cancel.",
        "Can order {id} with the {items} be stopped? I don't need it now.",
        "I must cancel my purchase of {n}, number {id}.",
        "Call off order #{id}, the {item}, please.",
    ],
    "change": [
        "Please change my order {id}, I want {n}.",
        "Could {id} be changed to {many}?",
        "I said the wrong amount on {id}, make it {many}.",
        "Edit order {id} so there are {many} in it.",
        "Instead of what I ordered under {id}, please make it {n}.",
        "For order #{id} the quantity should be {many}.",
        "Adjust my order to {n}, it is {id}.",
    ],
    "return": [
        "I'd like to return the {item}.",
        "Can I send {n} back? The order was {id}.",
        "I am not keeping the {items}, how do I return them?",
        "Please collect the {item} on {id}, I want to send it back.",
        "Returning {n}, not my taste. Order {id}.",
        "Where do I post back the {item} from {id}?",
    ],
    "problem": [
        "{many} arrived broken.",
        "The {item} I got from {id} is falling apart.",
        "Parcel {id} came damaged, the {item} as well.",
        "The {items} were ruined when I opened the box.",
        "My order {id} had the wrong {item} in it.",
        "There is something wrong with the {item} that I received.",
    ],
}
