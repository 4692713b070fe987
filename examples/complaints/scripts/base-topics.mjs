// What customers talk about: per topic the things, the people, how things are when good and when bad, and clauses of its own.
import { list } from './base-lexicon.mjs'

const words = (text) => text.split(',').map((word) => word.trim()).filter(Boolean)
const topic = (things, people, goodThing, badThing, good, bad, ask) => ({
  thing: words(things), person: words(people), goodThing: words(goodThing), badThing: words(badThing),
  good: list(good), bad: list(bad), ask: list(ask),
})

export const topics = {
  delivery: topic(
    'parcel, package, delivery, order, box, shipment, tracking, collection, replacement, envelope',
    'driver, courier, postman, depot, delivery man, carrier',
    'on time, early, well packed, safe, fast, undamaged, free, quick, complete, perfectly packed',
    'late, lost, crushed, damaged, soaked, missing, ripped, delayed, smashed, empty, wet, stolen',
    `the parcel {came|arrived} {a day early|on time|safely|in perfect condition} and was {well packed|carefully wrapped}
    the {driver|courier} {carried|brought} the {box|fridge|sofa|table} {upstairs|inside|to the second floor} {with a smile|kindly|carefully}
    {tracking|the map|the text message} was {accurate|easy to follow|clear|spot on}
    my {flowers|glasses|plates|gift|books} arrived {fresh|unbroken|in one piece|beautifully wrapped}`,
    `the {driver|courier} {threw|dropped|left|dumped} the {box|parcel|fridge} {over the fence|in the rain|on the pavement|in the mud}
    {tracking|the map} {has not moved|shows nothing|is frozen|is wrong} for [span]
    it was marked as delivered , but {nothing came|it never arrived|the parcel is lost|nobody rang the bell}
    {my|our} {flowers|glasses|plates|gift|medicine} arrived {dead|broken|smashed|too late|soaked|ruined}
    i stayed home all day and {nobody came|the delivery never showed up|found a card saying i was out}
    you {sent|delivered} the wrong {item|parcel|colour|address} {again|twice|to a neighbour}`,
    `{do you|can you} {ship|deliver|post} to {norway|canada|france|an island|my office|a village}
    {could you|please} leave the {parcel|package|box} {with my neighbour|in the garage|at the shop|at the office}
    can i {add|remove} an item {to|from} my order`),
  shop: topic(
    'jacket, coat, dress, sweater, shirt, pair of shoes, chair, shelf, lamp, toy, watch, kettle, blender, store, warranty, voucher, table, mattress, gift card, bag',
    'assistant, cashier, salesman, shop manager, seller, young woman at the till',
    'comfortable, solid, warm, soft, pretty, strong, light, well made, stylish, good value, the right size, as new, sturdy, cosy',
    'torn, broken, scratched, too small, cheap, overpriced, worn out, faulty, cracked, stained, fake, crooked, wobbly, used',
    `the {jacket|coat|dress|shirt|sweater} {fits|looks|feels} {perfect|lovely|great|wonderful|like a dream}
    the {colour|fabric|size|quality} is {even nicer than in the picture|exactly right|beautiful|superb}
    {clear instructions|all the parts were there} , {easy to build|simple to put together|finished in minutes}
    {returning it|the exchange|the return} was {easy|simple|quick|free} and {the cashier smiled|the money came back}`,
    `the {zip|button|sole|leg|handle|screen|strap} {broke|snapped|fell off|came off|cracked} {on the first day|in the first month|after a week}
    the {colour|size|fabric} is {completely wrong|not like the picture|nothing like the photo|horrible}
    the sweater {shrank|lost its colour|fell apart} {in the wash|after one wash}
    {parts|screws|the instructions} were {missing|useless|wrong|damaged}
    the {shop|store|seller} {will not take it back|refuses a refund|blames me|keeps my money|lied about the price}
    the {price|discount|voucher} {was not applied|did not work|was not honest} at the till`,
    `do you have {the shoes|this coat|the shirt} in {brown|green|black|blue|grey|white|a larger size|size forty}
    when will the {raincoat|table|lamp|toy} be {back in stock|on sale|in your store}
    can i pay {by card|with a voucher|in cash|later} {in any store|online|}`),
  bank: topic(
    'account, card, bank, branch, loan, mortgage, transfer, payment, statement, savings account, cash machine, balance, interest, exchange rate, limit',
    'adviser, clerk, bank manager, fraud team, cashier, lady at the counter',
    'safe, simple, clear, fair, approved, free of charge, easy to manage, secure, transparent, low cost',
    'blocked, hacked, overcharged, refused, locked, expensive, wrong, unsafe, rejected, closed, frozen, full of hidden fees',
    `the {loan|mortgage|account} was {approved|opened|ready} [soon] and {every step|each fee|it all} was explained
    the {fraud team|bank} {spotted|noticed|stopped} the strange {payment|transfer} and {returned|saved} my money
    {no hidden costs|no fees|a good rate} and {a safe app|a clear statement|a friendly branch}
    you kindly {removed|refunded|cancelled} the {fee|charge}`,
    `my {card|account} was {blocked|closed|frozen|hacked|swallowed} {abroad|without warning|for no reason|with money in it}
    the {cash machine|app|branch} {took|swallowed|lost} my {card|money|salary|savings}
    {a fee|a charge|interest} of [number] {pounds|euros|percent} for {one late payment|nothing|a letter} is {outrageous|unfair|ridiculous}
    the {stolen money|missing transfer} has {not come back|never been found|been ignored}
    the {app|code|password} {never works|locks me out|logs me out|never arrives}
    my {loan|mortgage|application} was {rejected|refused|lost} with no {reason|explanation}`,
    `how do i {raise|lower|see} the {limit|balance|interest} on my {card|account}
    i {am travelling|will be} {abroad|to japan|to spain|to italy} in [month] , please note {my card|that on my account}
    what is the {current|best} {interest|rate|charge} {on savings|for a loan|for sending money}`),
  telecom: topic(
    'internet, broadband, phone line, signal, contract, phone plan, router, mobile phone, connection, number, wifi, television box, upgrade, roaming, landline',
    'engineer, technician, operator, support agent, support team, chat robot',
    'fast, stable, reliable, easy to set up, strong, cheap, quick, working well, clear, much better',
    'down, dead, slow, unstable, cut off, expensive, useless, unreliable, out of order, faulty, weak, dropping',
    `the {internet|signal|connection|wifi} is {fast and stable|strong in every room|much better now|back}
    the {engineer|technician} {came on time|was early|fixed the line|tidied up the cables} and {explained the router|was lovely}
    i moved my number {without trouble|within the hour|in minutes} , {well done|perfect}
    {no dropped calls|no outage|no extra cost} {in a year|on holiday|at all}`,
    `the {internet|line|signal|wifi|connection} {has been down|has been dead|keeps failing|drops every evening} {since [day]|for [span]|again}
    the {engineer|technician} {did not turn up|never came|came late|left without a word|drilled through a pipe}
    my {bill|contract|charge} {doubled|went up} {without warning|again|although nothing changed}
    {calls cut off|the robot goes round in circles|the router freezes|the television box restarts} {all day|all night|all the time}
    i cancelled {in june|months ago|in writing} and you {still take|keep taking} my money
    {roaming|the upgrade|a call} cost me {a fortune|a hundred|far too much} and {nobody warned me|i was told it was free}`,
    `can i keep my {old|mobile} number if i {change|move|switch} {plans|house|provider}
    how much data {have i got left|is included|comes with the family plan}
    which plan {is best for calls abroad|do you recommend for students|includes television}`),
  hotel: topic(
    'room, bed, hotel, bathroom, breakfast, reception, pool, view, balcony, stay, booking, shower, air conditioning, villa, garden, lift',
    'receptionist, cleaner, porter, host, front desk, hotel manager',
    'clean, quiet, spotless, comfortable, cosy, spacious, bright, stunning, relaxing, charming, calm, sunny',
    'dirty, noisy, filthy, tiny, smelly, cold, stained, damp, loud, closed, mouldy, hard, dark, full of insects',
    `the {room|bath|pool} was {spotless|clean and bright|warm and quiet} and the {view|bed|balcony} was {stunning|superb|lovely}
    {reception|the host|the porter} {upgraded us|remembered our names|gave us tips|carried our bags|welcomed us warmly}
    we slept {very well|like babies|so well} , {no noise at all|the bed was soft|it was so quiet}
    breakfast was {delicious|generous|fresh|tasty} with {good coffee|fresh bread|warm rolls|fruit}`,
    `the room {smelled of smoke|was dirty|was noisy|had no hot water|was like a fridge}
    {there were|we found} {insects|hairs|stains|mould} in the {bed|bath|shower|carpet}
    {our booking|our deposit|the sea view} {had disappeared|was lost|was refused|did not exist}
    we did not sleep {a single night|at all} because of the {noise|party|thin walls|construction|smell}
    the {pool|lift|shower|air conditioning|tap|window} was {closed|broken|dripping|stuck|out of order} {all week|every day|and nobody cared}
    they charged us for {a minibar we never opened|parking|a cot|clean towels}`,
    `could we have {a cot|an extra bed|a late check in|a quiet room|a sea view} {for our baby|please|in [month]}
    {are dogs allowed|do you have parking|may we leave our bags|is breakfast included} {in the room|at the hotel|before check in|}
    we would like to stay {one more night|three nights in [month]|two nights} if {it is free|possible}`),
  restaurant: topic(
    'soup, meal, pizza, burger, steak, salad, dessert, coffee, dinner, table, menu, kitchen, restaurant, takeaway, pasta, fish, chicken, wine, curry, rice',
    'waiter, waitress, chef, cook, owner, barman',
    'delicious, tasty, fresh, hot, crisp, generous, superb, cosy, homemade, perfect, well cooked, sweet',
    'cold, burnt, raw, stale, greasy, soggy, tough, overpriced, tiny, salty, disgusting, sour, sticky, tasteless',
    `the {food|fish|pizza|soup|lamb} was {fresh and hot|delicious|tasty|superb} and the portions were {generous|huge}
    the {waiter|waitress|chef|owner} {looked after us|brought candles|came out to say hello|gave us free starters}
    {cosy room|lovely music|nice view} , {fair prices|good wine|superb dessert|fresh juice}
    the kitchen took {great|good} care of my {nut|milk|egg} allergy`,
    `the {chicken|fish|meat} was {raw|off|burnt} and {my wife was ill|we were sick|i threw it away}
    i found {a hair|plastic|a fly|a worm|glass} in my {soup|salad|rice|dessert}
    we waited [span] for {two plates|a coffee|one pizza|the bill} and {it was cold|it was wrong|nobody said sorry}
    {our table was given away|the order was wrong|the drinks never came|we were rushed out}
    {tiny portions|dirty plates|loud music|sticky menus|stale bread} , {warm beer|no flavour|flies everywhere|a huge bill}
    the {takeaway|burger|pizza} {arrived late|was cold|was missing half} {again|and soggy|and greasy}`,
    `{could|can} we {book|have|reserve} a table for {[number]|a party|two} {[when]|at eight|by the window|outside}
    do you have {anything without gluten|a children's menu|high chairs|vegetarian food}
    is the {curry|soup|sauce} very {spicy|hot|salty}`),
  software: topic(
    'app, update, program, version, software, subscription, website, login, password, search, export, feature, file, laptop, licence, screen, calendar, trial',
    'support team, developer, help desk, support agent, teacher in the video',
    'fast, smooth, simple, easy to use, neat, reliable, clear, free of adverts, intuitive, stable, modern',
    'slow, full of bugs, frozen, broken, useless, buggy, confusing, unstable, full of adverts, locked, unusable, ugly',
    `the {update|app|new version} {runs|works|is} {smooth|faster|better than ever|great on my phone}
    {the search finds everything|the export works|the reset worked|it saves me hours} {in a blink|at once|every week}
    {neat design|clear menus|good tutorials|dark mode} , {easy on the eyes|worth the price|simple and reliable}
    support {solved|fixed} my {login|problem|question} {with one click|in minutes|the same day}`,
    `the {app|program|site|update} {crashes|freezes|logs me out|hangs|shows an error} {every time|all the time|constantly|at the last step}
    the {update|new version|sync} {deleted|lost|ruined|broke} {all my notes|my files|my photos|my settings|my work}
    you {renewed|charged} my subscription {without asking|twice|after i cancelled}
    the {password email|code|link|export} {never comes|does not work|is broken|fails}
    i paid for the full version and {still see adverts|half the features are missing|cannot log in}
    {your servers|the system} {were down|crashed|failed} {during the exam|all day|again}`,
    `how do i {export|print|share|sort|save} my {notes|files|photos|list} {as text|on a tablet|by date}
    {is there|do you have} a {version|licence|plan|discount} for {older tablets|schools|students|two computers}
    where can i {change|find|see} the {language|colour|size} of the {menus|screen|text}`),
  trains: topic(
    'train, bus, ticket, seat, journey, carriage, station, platform, timetable, coach, connection, ticket machine, trip, fare, ride, line',
    'driver, conductor, guard, inspector, station staff, bus driver',
    'on time, punctual, clean, comfortable, quiet, smooth, warm, scenic, cheap, early, modern',
    'late, delayed, cancelled, crowded, packed, dirty, freezing, filthy, expensive, out of order, full, unsafe',
    `the {train|bus|coach} was {on time|clean and quiet|early|comfortable} and the {view|tea|seat} was {good|lovely|soft}
    the {driver|guard|conductor} {waited for me|found my phone|helped my mother|said hello|made us laugh}
    {every connection worked|buying a ticket was easy|we arrived five minutes early|there was plenty of room}
    {compensation|the refund} for the delay {came quickly|was paid without fuss}`,
    `the {train|bus|night bus|coach} {was cancelled|never came|was late again|drove past|broke down} and i missed {work|my connection|my exam|a wedding}
    {no announcement|no heating|no staff|no seats} {for an hour|all the way|on a cold night} , {what a joke|as always}
    the {ticket machine|lift|toilet|heating} was {broken|locked|out of order|filthy} {for months|again}
    i was fined {although|even though} {the machine was broken|i had a ticket|the app failed}
    {standing|squeezed|stuck} for [span] in a {packed|dirty|hot|dark} {carriage|bus}
    fares {go up|rise} and the {delays|trains|buses} get {longer|worse|dirtier}`,
    `which platform does the {airport|morning|evening|night} {train|bus} leave from
    {is my ticket|is a return|is the pass} valid {on a later train|at the weekend|for a bicycle|for children}
    i would like to reserve {two seats|a window seat|a place for a wheelchair} {[when]|}`),
  air: topic(
    'flight, plane, suitcase, luggage, bag, boarding, seat, airline, crossing, landing, lounge, boarding pass, gate, check in, airport',
    'crew, pilot, steward, ground staff, lady at the gate, cabin crew',
    'on time, smooth, calm, comfortable, quick, well organised, pleasant, early, quiet, roomy',
    'delayed, cancelled, lost, damaged, overbooked, chaotic, cramped, late, dirty, missing',
    `the {flight|plane} {left|landed} {on time|early|smoothly} and the crew {smiled|took care of us|could not have been nicer}
    my {suitcase|bag|luggage} {was found|came first|was brought to my door} {the same evening|safely|quickly}
    {plenty of leg room|a tasty meal|a quick check in|a calm lounge} , {we even slept|what a pleasant trip|thank you}`,
    `our flight was {delayed|cancelled|overbooked} by [number] hours {without food|without information|and nobody helped}
    my {suitcase|bag|wheelchair|luggage} was {lost|left behind|broken|torn|damaged} and {nobody apologised|i got automatic replies}
    boarding was {chaos|a mess|late} , {people pushed|no one was in charge|we nearly missed it}
    we paid for {seats together|a bag|the lounge|insurance} and {were split up|got nothing|it was closed}
    {cold food|a broken screen|dirty seats} for [number] hours , {terrible airline|never flying again}`,
    `how many bags may i take {to lisbon|on board|for a baby}
    {do i need|should i bring|must i print} {a boarding pass|a visa|a form} {for a guide dog|for my child|}
    {please add|i would like} {a vegetarian meal|an aisle seat|a window seat} {to|for} {my|our} {booking|flight}`),
  health: topic(
    'appointment, visit, operation, treatment, clinic, hospital, ward, prescription, test, pharmacy, filling, waiting room, exam, results, pair of glasses, massage',
    'doctor, nurse, dentist, pharmacist, midwife, optician, surgeon, receptionist, vet',
    'painless, gentle, calm, clean, on time, quick, reassuring, bright, safe, professional',
    'painful, late, cancelled, lost, dirty, rushed, wrong, dangerous, freezing, crowded, delayed',
    `the {nurse|doctor|dentist|vet} was {gentle|kind|calm} and {listened|explained every step|took her time} , {no pain at all|i feel better}
    {i was seen on time|results came early|there was no wait} and {the staff smiled|it was painless|everybody was calm}
    {my father|my son|our cat|our dog} was {well cared for|treated kindly|in good hands} in the {clinic|ward|hospital}
    my fear {went away|was gone} , {we are so grateful|thank you to the whole ward}`,
    `the {doctor|dentist|nurse|vet} {hurt me|did not listen|was rough|saw me for two minutes|rushed me}
    my {operation|appointment|test} was {cancelled|lost|forgotten|delayed} {on the morning itself|for the second time|again}
    the {pharmacy|clinic} gave me the wrong {tablets|prescription|results} , {dangerous|this is scary}
    my mother {lay in a corridor|waited in pain|was ignored|sat in the cold} {all night|for [span]}
    the {crown|filling|glasses} {fell out|hurt|give me headaches} and they want me to {pay again|wait}
    the receptionist {shouted|was rude|ignored a crying patient|never picks up}`,
    `can i {book|move|change} {an|my} appointment {for a flu shot|to [day]|for my son}
    {please renew|could you renew|i will collect} my prescription {on [day]|by post|}
    {do you take|are there places for} new patients {at the moment|[when]}
    what should i bring to {my first visit|the test|the hospital}`),
  utilities: topic(
    'power, heating, boiler, water, gas, meter, tariff, electricity, repair, hot water, smart meter, bill, reading, bin, oven',
    'engineer, plumber, electrician, meter reader, technician',
    'warm, working well, cheaper, clear, easy to understand, safe, quickly repaired, lower than last year, accurate',
    'cut off, leaking, brown, freezing, broken, too high, wrong, estimated, dangerous, dirty, expensive',
    `the {boiler|heating|pipe|meter} was {repaired|replaced|fixed} [soon] and {the street was clean|the house is warm|we saved money}
    {power|water|gas} was back {sooner than you said|in minutes|before dinner}
    my bill is {lower|correct|easy to understand} {this year|now|at last}
    you {spotted|noticed} that i paid too much and {sent it back|gave a credit}`,
    `{no hot water|no heating|no power|brown water} for [span] {with a newborn|in winter|and nobody came}
    my {bill|reading|meter} is {wrong again|three times too high|estimated} and you {demand payment|threaten to cut me off}
    the {boiler|heating|pipe} {failed|leaked|broke} again {after the repair|the next day|in the cold}
    the {engineer|plumber|technician} {came without the part|flooded the kitchen|never returned}
    {bins|rubbish|a hole in the road} {have not been emptied|has been there|smells} {for weeks|since april}
    the price {was fixed|was promised} and {went up by a third|doubled|rose again}`,
    `how do i {send|submit|enter} my meter reading {online|by phone|}
    could you explain the {day|night|green} tariff {to me|on my bill}
    i am moving {on the first of [month]|in [month]} and would like to {take my contract|end my contract|register}`),
  insurance: topic(
    'claim, policy, premium, insurance, cover, hire car, quote, renewal, form, payment, excess, contract, document',
    'assessor, agent, adviser, claims team, lawyer',
    'paid in full, fair, quick, clear, cheap, easy to renew, in plain language, generous, settled',
    'rejected, unpaid, lost, unfair, expensive, refused, delayed, far too low, cancelled, full of tricks',
    `my claim was {paid|settled|approved} {in four days|in full|without fuss|quickly}
    the {assessor|agent} was {fair|kind after the accident|honest} and {found a cheaper policy|explained the sum}
    renewing {took two minutes|was simple|saved me money} and the {letters are clear|cover is good}`,
    `my claim {was rejected|was refused|has been ignored|is unpaid} {because of a comma|for five months|with no reason}
    my premium {went up|doubled} although i {never made a claim|was loyal for years}
    you {keep losing|lost} {the form|my photos|my file} and {refuse to pay|blame me|transferred me again}
    the {assessor|agent} {called me a liar|lied to me|was an hour late}
    the payment is {far below|not even half of} what was {stolen|damaged|ruined}`,
    `does my policy {cover|include} {a rental car|my bicycle|water damage|a trip to spain}
    i would like a quote for {a house|a flat|a small car|a dog}
    how do i add {my wife|a second driver|my son} {to the policy|}`),
  car: topic(
    'car, van, engine, garage, tyre, brake, taxi, hire car, service, bicycle, test drive, charging station, parking, motorbike, door, paint',
    'mechanic, taxi driver, salesman, breakdown driver, garage owner',
    'like new, clean, fixed in a day, cheaper than the quote, honest, safe, smooth, full of fuel, ready on time',
    'scratched, noisy, leaking oil, not ready, dented, smelly, dangerous, unsafe, broken again, overpriced, empty',
    `the {garage|mechanic} {fixed|repaired|checked} my {brakes|engine|tyres|bicycle} {in a day|for a fair price|perfectly}
    my {car|van|bicycle} {drives|rides|runs|looks} {like new|better than ever|beautifully}
    the {taxi|breakdown truck|hire car} was {early|clean|there in minutes} and the driver {helped with our bags|was cheerful}`,
    `the {warning light|awful noise|same fault} {came back|is still there} {at the first corner|after the repair|a day later}
    you {charged|billed} me for {new brakes|damage that was there before|work never done|a full tank}
    the {garage|mechanic} {scratched my door|left oil on the seats|denies it|lied about the tyres}
    the {hire car|taxi} {smelled of smoke|was filthy|had an empty tank|took the longest route}
    i got a fine {although i paid|because the machine was broken}
    quoted two hundred , charged five hundred , {no explanation|and it is still broken}`,
    `do you have {a free slot|time} for a {tyre change|service|wash} {[when]|}
    how much is parking {for a week|at the airport|for a van}
    i want to book a test drive {for the small model|[when]|}`),
  home: topic(
    'kitchen, window, roof, flat, bedroom, garden, washing machine, wardrobe, sofa, door, floor, carpet, fridge, lawn mower, vacuum cleaner, drawer, wall, paint',
    'landlord, builder, painter, cleaner, gardener, fitter, removal man, electrician, plumber',
    'tidy, quiet, solid, beautiful, bright, neat, finished early, spotless, easy to build, cosy, fresh',
    'leaking, mouldy, crooked, unfinished, flooded, wobbly, noisy, cracked, damp, dirty, stained, ruined',
    `the {painters|builders|removal men|cleaner} were {neat|quick|tidy|careful|great fun} and {nothing was damaged|finished early|left it spotless}
    the {kitchen|garden|roof|wardrobe|sofa} looks {beautiful|perfect|solid|lovely} and [kin] {loves it|is delighted}
    the landlord {fixed|repaired} the {heating|tap|door} the same day and {returned our deposit|wished us luck}
    the {washing machine|vacuum cleaner|lawn mower} is {light|quiet|strong|easy to use}`,
    `the {plumber|builder|painter|fitter} {flooded|ruined|stained|scratched|cracked} {my kitchen|the carpet|the floor|the wall} {and sent a bill|and walked off}
    {mould|damp|the leak|the smell} was reported {in autumn|months ago} and the landlord {does nothing|ignores us|shrugs}
    the {washing machine|fridge|roof|window|oven} {leaks|shakes|failed|lets in rain} {again|on the first day}
    {drawers do not close|doors hang crooked|screws are too short} and the fitter {will not come again|blames us}
    you kept our deposit although {we left it clean|nothing was damaged}
    the {removal men|cleaner} {dropped|broke|lost} {our piano|a vase|my keys|two boxes} {and laughed|and hid it}`,
    `when can someone {measure|clean|paint|repair} {our windows|the chimney|the bedroom}
    {could i|may i} paint {the bedroom|the door} myself {or do i need permission|}
    i would like a quote for {two apple trees|a new floor|a garden wall}`),
  leisure: topic(
    'gym, concert, cinema, show, tour, class, lesson, museum, zoo, festival, haircut, library, membership, film, pool, course, hair, book',
    'trainer, guide, hairdresser, teacher, librarian, ticket office, singer',
    'fun, exciting, well organised, clean, inspiring, never too full, relaxing, thrilling, suitable for children',
    'overcrowded, boring, cancelled, dirty, too loud, sold out, blurred, too short, out of order, cold, overpriced',
    `the {concert|show|festival|tour} was {fun|exciting|a joy|well organised} and {the children laughed|we are still humming|the sound was superb}
    my {trainer|teacher|hairdresser|guide} is {patient|funny|full of stories} and i {learned a lot|love my new look|lost my fear}
    the {gym|pool|library|zoo} is {clean|bright|never too full} and {has new machines|has a lovely corner|great for kids}`,
    `the {concert|class|lesson|tour} was {cancelled|sold out|full|changed} and {the fee is gone|you will not refund us|nobody told us}
    the {gym|pool|cinema|zoo} was {dirty|cold|half closed|overcrowded} and {charged the full price|the showers were broken}
    {we sat behind a pillar|my parents had to stand|we could not see anything|the sound was awful} {although we paid|for a lot of money}
    you keep taking my {fee|membership} although i cancelled {in writing|months ago}
    the {hairdresser|trainer|guide} {cut off far too much|burnt my ear|was bored|came late}`,
    `{are there|do you have} {any tickets|places} left for {the show|beginners|[day]}
    do you offer a discount for {students|families|groups|older people}
    can i freeze my membership {while i am abroad|for two months}`),
  grocery: topic(
    'bread, milk, meat, cheese, fruit, salad, bakery, checkout, egg, tomato, strawberry, food, till, loyalty card, trolley, bottle, supermarket',
    'butcher, baker, cashier, guard, man at the cheese counter',
    'fresh, sweet, ripe, tasty, delicious, cheap, local, healthy, wonderful, crisp',
    'sour, mouldy, rotten, stale, out of date, smashed, brown inside, thawed, bad, empty, smaller than before',
    `the {bread|fruit|meat|cheese} is {fresh every morning|sweet and ripe|excellent|tasty} and smells {wonderful|lovely}
    the {butcher|baker|cashier} {gives good tips|has a kind word|let us taste everything}
    my groceries came {well packed|on time|with nothing missing} , {bright shop|fair prices|tidy shelves}`,
    `the {milk|meat|fish|bread} was {sour|off|out of date|mouldy} {before the date|inside|again} and smelled {bad|awful}
    {shelves|the trolley park|the freezer} {are|is} {empty|full of rubbish|dirty} {again|every week} and staff {do not care|cannot say when}
    the {price|offer} at the {till|shelf} is {never the same|wrong|higher} and {points disappeared|nobody corrects it}
    i found a {worm|stone|hair} in the {salad|lentils|bread} and {lost my appetite|broke a tooth|got a voucher}
    the guard {searched my bag|accused me of stealing}`,
    `which aisle has the {baking powder|oat milk|rice|salt}
    do you sell {oat milk|gluten free rolls|local honey} {in small bottles|once a week|}
    how many points do i need for {a free coffee|a discount}`),
  school: topic(
    'school, nursery, lesson, course, exam, class, teacher, lunch, school bus, certificate, playground, textbook, term, classroom, trip',
    'teacher, head teacher, tutor, bus driver, nursery nurse',
    'fun, small, safe, clear, well taught, kind, inspiring, friendly, warm',
    'overcrowded, unsafe, cold, cancelled, badly taught, dangerous, lost, greasy, ignored',
    `my {son|daughter|boy|girl} {loves|adores} {the nursery|school|the lessons|lunch} and {runs in every morning|reads so much better}
    the {teacher|tutor} {took extra time|explained it well|is kind and patient} and {we are so glad|i passed the exam}
    {small groups|a lovely garden|a warm welcome|kind teachers} , {we are happy we chose you|what a joy}`,
    `my {son|daughter|child} {came home hurt|was bullied|was forgotten at the stop|was seated alone} and {nobody noticed|the school ignored it}
    {the teacher is absent|lessons are cancelled|the classroom is freezing|lunch is cold and greasy} {again|every week}
    you lost {my certificate|the application|the exam results} and want me to {pay|wait}
    fees {rise|go up} each term and {thirty people sit in a room|nothing gets better}`,
    `when does the new {term|course|class} {begin|start|end}
    could i have the form for {the trip|the exam|lunch} {once more|by email|}
    my {son|daughter} will be absent on [day] {because of a party|for a visit|}`),
  council: topic(
    'passport, permit, street lamp, park, office, counter, bus shelter, cycle path, traffic light, road, stamp, letter, post office, council, playground, queue',
    'clerk, officer, postman, mayor, lady at the desk',
    'quick, safe, well kept, easy, mended, clean, well lit, open late',
    'broken, closed, dark, lost, blocked, full of rubbish, dangerous, locked, far too long',
    `the {lamp|hole|road|swing} was {mended|filled|repaired} {within two days|soon after my message} , good job
    the {clerk|officer|postman} {filled in the form with me|smiled|explained every line}
    my {passport|permit} came {after a week|early} , {no queue|out in five minutes}
    the {park|playground|square|cycle path} looks {lovely|safe|wonderful} and the kids go every day`,
    `the {lamp|traffic light|hole|lift} has been {broken|stuck|dark|there} {since autumn|for months} and {nobody came|is dangerous}
    i stood in line for [span] and {the counter closed|was sent away|a stamp was missing}
    my {passport|letter|post|application} {was lost|was opened|never arrived|went to the wrong house}
    {you fined me|i got a reminder} {for a stolen bin|although i paid|by mistake}
    the {park|square|toilets|path} {is|are} {filthy|blocked by vans|full of glass|always locked}`,
    `which documents do i need for {a passport|a permit|my new address}
    how many stamps do i need for {a letter to canada|a small box}
    where do i {report|register} {a lost cat|a dog|my bicycle}`),
  pets: topic(
    'dog, cat, puppy, kitten, plant, rose, horse, seed, kennel, cage, pet food, garden centre, bench, hedge, aquarium, rabbit, palm, parrot',
    'vet, dog walker, groomer, gardener, kennel owner',
    'healthy, happy, fresh, in flower, gentle, pretty, strong, well fed',
    'dead, sick, dirty, thin, frightened, rotten, dried out, leaking, in pain',
    `our {dog|cat|puppy|kitten|horse} {came home happy|jumps for joy|is healthy again|looks adorable} , {we are grateful|what care}
    the {plants|roses|seeds} {arrived fresh|came up|are in flower} and {look lovely|lasted all summer}
    the {vet|groomer|dog walker} {was gentle|rang to ask how he was|sent us photos every day}`,
    `our {dog|cat|horse|puppy} came back {thin|dirty|frightened|sick|hurt} and {nobody explained it|they blame us}
    the {plants|roses|seeds} {were dead|never came up|were the wrong colour|dried out}
    the {vet|groomer} charged for {tests never done|nothing} and {hid a cut|was rough}
    the {cage|bench|aquarium} {leaked|rotted|does not close} and {ruined our floor|is no use}`,
    `how often should i {water|feed|brush} {this palm|a kitten|an old rabbit}
    which plants are safe for {cats|dogs|parrots}
    can i bring my {parrot|cat|dog} without an appointment`),
  support: topic(
    'answer, reply, call, chat, hotline, help page, ticket, solution, help line, service, invoice, question, request, follow up, conversation',
    'agent, woman on the line, manager, operator, young man on the phone, team',
    'quick, clear, honest, helpful, friendly, correct, sorted, warm, easy, complete',
    'slow, useless, wrong, ignored, automatic, endless, unanswered, copied, rude, lost',
    `{a real person|the agent|somebody} {picked up|called back|replied} {after two rings|at once|as promised} and {solved it|listened|was so warm}
    {my question|my problem|everything} was {answered|solved|sorted} {on the first call|in minutes|today} , {you kept your word|what a joy}
    i want to {thank|praise} {maria|tom|anna|the agent} for {her patience|his help|the honest advice}`,
    `{the agent|she|he} {hung up|talked over me|closed the chat|transferred me} {in the middle|again|after an hour}
    i was on hold for [span] and then {cut off|nobody helped|it closed}
    each {agent|person|desk} {says something different|knows less|sends me round in circles} , {exhausting|insulting}
    you sent the same {copied|automatic} {text|reply} for the {third|fourth} time and {ignored my question|nothing changed}
    the manager who {promised|was going} to call {never called|has gone into hiding|does not keep his word}`,
    `{who|which office} is the right one {for a group order|for general questions|to ask}
    could you call me back {after five|[when]|on [day]}
    {everything is sorted|all is fine} now , you may close my ticket`),
}
