// Topics of the base corpus, one half: what people buy, eat, drive and live in.
import { topic } from './base-lexicon.mjs'

export const goods = {
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
    can i {add|remove} an item {to|from} my order`,
  ),
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
    can i pay {by card|with a voucher|in cash|later} {in any store|online|}`,
  ),
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
    which plan {is best for calls abroad|do you recommend for students|includes television}`,
  ),
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
    we would like to stay {one more night|three nights in [month]|two nights} if {it is free|possible}`,
  ),
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
    is the {curry|soup|sauce} very {spicy|hot|salty}`,
  ),
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
    {is there|do you have} a {version|licence|plan|cheaper price} for {old tablets|schools|a class of students|two computers}
    {how|where} can i {change|find|set} the {language|colour|size} of {all menus|the screen|the text}`,
  ),
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
    the quote was [number] hundred , {the bill|the charge} was twice that , {no explanation|and it is still broken}`,
    `do you have {a free slot|time} for a {tyre change|service|wash} {[when]|}
    how much is parking {for a week|at the airport|for a van}
    i want to book a test drive {for the small model|[when]|}`,
  ),
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
    i would like a quote for {two apple trees|a new floor|a garden wall}`,
  ),
  grocery: topic(
    'bread, milk, meat, cheese, fruit, salad, bakery, checkout, egg, tomato, strawberry, food, till, loyalty card, trolley, bottle, supermarket',
    'butcher, baker, cashier, guard, man at the cheese counter',
    'fresh, sweet, ripe, tasty, delicious, cheap, local, healthy, wonderful, crisp',
    'sour, mouldy, rotten, stale, out of date, smashed, brown inside, thawed, bad, empty, smaller than before',
    `the {bread|fruit|meat|cheese} is {fresh each day|sweet and ripe|excellent|tasty} and smells {wonderful|lovely}
    the {butcher|baker|cashier} {gives good tips|has a kind word|let us taste everything}
    my groceries came {well packed|on time|with nothing missing} , {bright shop|fair prices|tidy shelves}`,
    `the {milk|meat|fish|bread} was {sour|off|out of date|mouldy} {before the date|inside|again} and smelled {bad|awful}
    {shelves|the trolley park|the freezer} {are|is} {empty|full of rubbish|dirty} {again|every week} and staff {do not care|cannot say when}
    the {price|offer} at the {till|shelf} is {never the same|wrong|higher} and {points disappeared|nobody corrects it}
    i found a {worm|stone|hair} in the {salad|lentils|bread} and {lost my appetite|broke a tooth|got a voucher}
    the guard {searched my bag|accused me of stealing}`,
    `in which aisle {do i find|is} the {baking powder|oat milk|rice|salt}
    do you {order|sell} {oat milk|gluten free rolls|local honey} {in small packs|every week|}
    how many points do i need for {a free coffee|a discount}`,
  ),
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
    can i bring {a|our} {parrot|cat|dog} without {calling|an appointment} first`,
  ),
}
