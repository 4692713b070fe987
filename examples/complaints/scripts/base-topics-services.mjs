// Topics of the base corpus, one half: whom people pay, visit, ride with and write to.
import { topic } from './base-lexicon.mjs'

export const services = {
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
    what is the {current|best} {interest|rate|charge} {on savings|for a loan|for sending money}`,
  ),
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
    `from which platform does the {airport|morning|evening|night} {train|bus} {leave|start}
    {is my ticket|is a return|is the pass} valid {on a later train|at the weekend|for a bicycle|for children}
    i would like to reserve {two seats|a window seat|a place for a wheelchair} {[when]|}`,
  ),
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
    {please add|i would like} {a vegetarian meal|an aisle seat|a window seat} {to|for} {my|our} {booking|flight}`,
  ),
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
    {do you accept|are there places for} {new patients|more patients} {this month|[when]}
    what should i bring {along to|with me for} {a first visit|the test|a night in the ward}`,
  ),
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
    i am moving {on the first of [month]|in [month]} and would like to {take my contract|end my contract|register}`,
  ),
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
    how do i add {my wife|a second driver|my son} {to the policy|}`,
  ),
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
    is there a {discount|lower price} for {students|families|groups|older people}
    can i freeze my membership {while i am abroad|for two months}`,
  ),
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
    `when does the {next|spring|autumn} {term|course|class} {begin|start|end}
    could i have the form for {the trip|the exam|lunch} {once more|by email|}
    my {son|daughter} will be absent on [day] {because of a party|for a visit|}`,
  ),
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
    how many stamps {does a letter to canada need|go on a small box}
    where do {people|we} {report|register} {a cat|a dog|a bicycle}`,
  ),
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
    {everything is sorted|all is fine} now , you may close my ticket`,
  ),
}
