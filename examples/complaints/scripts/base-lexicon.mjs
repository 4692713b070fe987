// The words and phrases that every topic shares. A slot is written [name] and looked up here or in the topic;
// {a|b} is a choice in place. One phrase a line.

export const list = (text) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
const words = (text) =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean)

// A topic has its things, its people, how things are when good and when bad, and clauses of its own per mood.
export const topic = (things, people, goodThing, badThing, good, bad, ask) => ({
  thing: words(things),
  person: words(people),
  goodThing: words(goodThing),
  badThing: words(badThing),
  good: list(good),
  bad: list(bad),
  ask: list(ask),
})

export const shared = {
  day: words('monday, tuesday, wednesday, thursday, friday, saturday, sunday'),
  month: words('january, february, march, april, may, june, july, august, september, october, november, december'),
  number: words('two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty'),
  unit: words('minutes, hours, days, weeks, months'),
  span: list(`
    [number] {minutes|hours}
    [number] {days|weeks|months}
    a {whole|full} {day|week|month|year}
    {half|over} an hour
    {half a|the whole} {day|year|winter|summer}`),
  soon: list(`
    within {an hour|a day|minutes|[number] [unit]}
    {at once|right away|straight away|immediately|instantly|promptly}
    the {same|next|very next} {day|morning|evening|afternoon}
    {before|earlier than|sooner than} {expected|promised|planned}
    in {no time|good time|a few minutes}`),
  when: list(`
    {last|this|next} {week|month|weekend|year|winter|summer|spring|autumn}
    {yesterday|today|tonight|this morning|this afternoon|this evening}
    on [day]
    on [day] {morning|afternoon|evening|night}
    in [month]
    {at|over} {christmas|easter|the weekend|the holidays}`),
  kin: words(`my mother, my father, my son, my daughter, my wife, my husband, my sister, my brother, my parents, my children,
    my kids, my grandmother, my grandfather, my friend, my neighbour, my boss, my team, my family, our baby, my aunt, my uncle`),
  contact: words('phone, email, letter, chat, text, message, post, app, website, form'),
  goodPerson:
    words(`friendly, helpful, kind, polite, patient, cheerful, charming, lovely, caring, gentle, careful, honest, funny,
    warm, professional, attentive, quick, welcoming, calm, generous, thoughtful, understanding, brilliant, wonderful, pleasant`),
  badPerson:
    words(`rude, unfriendly, unhelpful, impatient, bored, careless, clueless, arrogant, aggressive, lazy, pushy, impolite,
    dishonest, incompetent, slow, useless, angry, cold, nasty, sloppy, ignorant, hostile, late, awful, terrible, rough`),
  goodAny:
    words(`great, good, excellent, wonderful, perfect, superb, brilliant, fantastic, lovely, nice, amazing, outstanding,
    very good, really good, first class, impressive, splendid, marvellous, flawless, pleasant, beautiful, fine, simple,
    neat, smooth, easy, quick, fair, reliable, useful, handy, comfortable, clear, heavenly, adorable, well made`),
  badAny:
    words(`bad, terrible, awful, poor, horrible, useless, disappointing, dreadful, unacceptable, ridiculous, disgusting,
    faulty, very poor, really bad, hopeless, shocking, outrageous, appalling, unfair, annoying, disgraceful, worse than ever,
    a disgrace, a joke, a scandal, a shame, a mess, a nightmare, a let down, wrong, slow, unreliable, broken, impossible, chaos`),
  goodFeeling:
    words(`happy, pleased, delighted, thrilled, impressed, satisfied, grateful, thankful, glad, relieved, very happy,
    so happy, really pleased, more than happy, very pleased, pleasantly surprised, truly impressed, so grateful, quite content`),
  badFeeling:
    words(`unhappy, disappointed, angry, annoyed, upset, furious, frustrated, fed up, shocked, disgusted, sad, tired of this,
    very unhappy, so disappointed, really angry, deeply disappointed, sick of it, worried, in tears, not happy, not satisfied, stressed,
    losing patience, at the end of my patience, appalled, cheated, ignored, helpless, embarrassed`),
}

// Frames by mood. [thing], [person], [goodThing] and so on are the topic's.
export const frames = {
  good: list(`
    the [thing] {is|was|looks|feels|has been} {[goodAny]|[goodThing]|[goodThing] and [goodThing]|really [goodThing]}
    {what a|such a} {great|lovely|wonderful|superb|brilliant|pleasant} [thing]
    the [person] {is|was} {so|very|always|really|extremely} [goodPerson]
    the [person] was [goodPerson] and [goodPerson] {too|as well|from start to finish|throughout|the whole time}
    i {am|was} [goodFeeling] with {the|my|your|our} [thing]
    [kin] {is|was} [goodFeeling] {with|about} {the|your|our} [thing]
    {i|we} {love|like|enjoy|adore|recommend|appreciate} {the|your|our} [thing]
    {many thanks|thank you|thanks|thanks a lot|thank you so much|a big thank you} {for|to} the [goodPerson] [person]
    {thank you|thanks|many thanks|we are grateful} for {the|your} {great|quick|kind|excellent|wonderful|lovely} {help|service|work|advice|care}
    i was {worried|nervous|afraid|anxious|sceptical|scared} about the [thing] , but it was [goodThing]
    {not bad at all|no problems at all|no trouble at all|nothing to improve|no mistakes , no delays|not a single problem}
    {nothing|not one thing} was {broken|missing|late|wrong|damaged|lost|dirty} and {everything|all} was [goodThing]
    {i have never had|we have never had|there was never} {a problem|any trouble|a delay|a bad experience|a single fault} with {the|your} [thing]
    the [thing] could not {be|have been} {better|nicer|easier|kinder|quicker}
    {there was|we had} a {small|tiny|little} {problem|delay|mistake|fault|mix up} , but {the [person]|you} {fixed|solved|sorted} it [soon]
    {the [person]|somebody|your team} {answered|replied|helped|called back|picked up} [soon]
    {the [person]|your team} {explained|showed|told} me everything {clearly|patiently|in plain words|step by step}
    {great|good|fair|wonderful|excellent} {service|value|quality|price|work|advice|team} , {keep it up|well done|bravo|good job|five stars|highly recommended}
    {i|we} will {gladly|certainly|definitely|happily|surely} {come back|return|use it again|order again|buy again|recommend you|stay with you}
    the [thing] {works|worked|went|turned out} {perfectly|very well|beautifully|as promised|smoothly|wonderfully|without any trouble}
    it was {worth every penny|a real pleasure|a pleasant surprise|a joy|a treat|a bargain|well worth the wait|easier than i thought}
    [kin] {enjoyed|loved|liked|praised|recommended} the [thing] {very much|from the first day|a lot|so much}
    it {made|has made} {my day|me smile|us feel welcome|our life easier|[kin] smile}
    {far better|nicer|quicker|easier|cheaper} than {i expected|i had hoped|my last one|before|any other [thing]}
    {everything|all of it} was [goodThing] , {just|exactly} {as promised|as described|what we wanted|what i was looking for|right}
    the [thing] {came|arrived|was ready|was finished|was fixed} [soon] , {perfect|brilliant|i was impressed|so thank you|well done}
    {the refund|my refund|the money|the replacement} {came|arrived|was there} [soon] , {excellent|very fair|thank you|no questions asked}
    {i|we} did not {expect|need to ask for} {so much|such} {help|kindness|care|patience} , {how kind|very generous|thank you all}
    i cannot fault the [thing] , it is [goodThing]
    {the [person] took|she took|he took} {care of us|time for me|good care of [kin]} and {smiled|joked|was so [goodPerson]}
    {i|we} {bought|ordered|received|booked|tried|used} {the|this|our} [thing] {last year|[when]} and {i|we} still {love|like|enjoy} {it|using it}
    {they|your people} {offered|gave|sent} {us|me|them} {a drink|a cake|coffee|a free [thing]|their best [thing]} and {smiled|were [goodPerson]}
    {anybody|anyone|my neighbours|most customers} would {like|enjoy|praise} {the|this} [thing] , it {seems|felt|looks} {[goodThing]|[goodAny]}
    {here|finally|at last} {i|we} {met|found|saw} {people|a [person]|somebody} who {listened|cares|is [goodPerson]|knows the business}
    the [thing] {lasts|works|runs} {already|now} for {years|a year|months} {without|and never} {trouble|a fault|failed once}
    {talking|speaking} to the [person] was {easy|pleasant|fun} and {made sense|saved us time|felt good}
    {it|the [thing]} {makes|made} {life|travel|cooking|work|the evening} {easier|nicer|fun|so much better} for {both of us|older people|the whole family}
    {i|we} {feel|felt} {safe|welcome|at home|understood|looked after} {here|with you|from the first minute|each time}
    {i will miss|we always look forward to} {the|your} [thing] , {worth|deserves} {a good review|every star|the trip}`),
  bad: list(`
    the [thing] {is|was|looks|feels|has been} {[badAny]|[badThing]|[badThing] and [badThing]|completely [badThing]}
    {what a|such a} {terrible|poor|bad|useless|horrible|dreadful|sad|disappointing} [thing]
    the [person] {is|was} {so|very|always|really|extremely} [badPerson]
    the [person] was [badPerson] and [badPerson] {too|as well|from start to finish|and did not say sorry|and refused to help}
    i {am|was} [badFeeling] because of the [thing]
    [kin] {is|was} [badFeeling] {with|about|because of} {the|your} [thing]
    {i|we} {hate|regret|cannot use|cannot recommend|cannot accept} {the|your|this} [thing]
    {nobody|no one} {answers|replies|cares|helps|called back|apologised|came|knows anything|told us|picks up|wants to help|said sorry}
    {nobody|no one} {told|warned|asked|informed|helped|called} {me|us|[kin]} {about the [thing]|at all|before|in time}
    i have {called|written|emailed|asked|reported this|reported it} [number] times and {still|there is|i have} {no answer|no reply|no solution|no help|nothing}
    {i am|we are} still {waiting|without an answer|waiting for a refund|waiting for an apology|without a solution} after [span]
    {i|we} {waited|had to wait|have been waiting|stood in line|was on hold} {for|over} [span] {for nothing|without any news|and nothing happened|again|, ridiculous}
    the [thing] was supposed to be [goodThing] , but it {is|was} [badThing]
    you {promised|said|claimed|told me|advertised} {it would be|a} [goodThing] {thing|service|offer} , {but|and} {nothing happened|it was not true|that was a lie|i got the opposite}
    i was {charged|billed|made to pay} {twice|again|too much|for nothing|extra|for your mistake} and {you refuse|the [person] refused|nobody wants} to {refund it|correct it|explain it|pay it back}
    {i want|i demand|please give me|i expect} {my money back|a full refund|an apology|a replacement|an explanation} , {this is unacceptable|enough is enough|i have had enough}
    {never again|not good enough|not worth the money|a waste of time|a waste of money|worst service ever|avoid this [thing]}
    the [thing] {stopped working|failed|broke|fell apart|was cancelled|was lost|disappeared|never came|never worked} {again|after a week|on the first day|without warning|, as always|for no reason}
    {why|how} {must|should|do|can} i {pay|wait|suffer|keep calling} {for|because of} {your mistake|a broken [thing]|a faulty [thing]|this [thing]}
    {the [person]|somebody|your team} {ignored|lied to|shouted at|laughed at|argued with|hung up on|cheated|blamed|threatened} {me|us|[kin]}
    {the [person]|your office} {refused|failed|did not bother|was not willing} to {help|apologise|explain|listen|take it back|repair it|answer}
    {another|one more|yet another} {delay|excuse|mistake|broken promise|wrong bill|lie|wrong answer} {and no apology|, no explanation|, i am losing patience|, the third this month}
    it {gets|got} worse every {day|week|month|time} and {nobody cares|nothing changes|no one does anything|you do nothing}
    {i must say|sadly|unfortunately|i am sorry to say} , the [thing] {is|was} {[badThing]|[badAny]}
    {i would have expected|i had hoped for|it would be nice to get|i did expect} {better|more|an answer|some respect|an apology|a working [thing]} {by now|from you|after [span]|from such a company}
    the refund {never came|has not arrived|was refused|is still missing|takes forever} and {my money is gone|you keep my money|the form vanished|the [person] blames me}
    {this is the|for the} {second|third|fourth|fifth} time {this month|in a row|this year} , {i am [badFeeling]|it is unacceptable|what a disgrace}
    {half of it|everything|the rest|part of it} was {missing|broken|wrong|ruined|damaged|dirty|useless|lost}
    {great|congratulations|wonderful|well done} , {another|yet another} [badThing] [thing]
    {my friends warned me|i used to be happy with you|i was a loyal customer} , now {i am leaving|i know better|everything is [badThing]|i will go elsewhere}
    {i|we} {bought|ordered|received|booked|tried|used} {the|this|your} [thing] {last year|[when]} and {already|now} it {is|feels} {broken|[badThing]|useless}
    {they|your people} {took|lost|kept|forced on us} {our|their own|the wrong} [thing] and {simply|obviously} {walked away|did not care|forgot us}
    {anybody|anyone|my neighbours|most customers} would be {angry|furious|upset} , {the|this} [thing] {seems|felt|looks} {[badThing]|[badAny]}
    {until|since} {[when]|then|[day]} {nothing happened|i heard nothing|there was no sign of a [person]} {, just excuses|, endless waiting|instead}
    {i|we} {spent|wasted|lost} [span] {on|trying to reach} {the|your} {hotline|office|[person]|help page} {for nothing|and got nowhere|, what a waste}
    {talking|speaking} to the [person] was {painful|hard|like talking to a wall|pointless} and {made it worse|wasted my time}
    {it|the [thing]} {makes|made} {life|travel|work|the evening} {harder|impossible|miserable|a nightmare} for {elderly people|all of us|the whole family}
    {i|we} {feel|felt} {cheated|ignored|unsafe|forgotten|treated like fools|rushed} {here|by you|from the first minute|each time}
    {none of|not one of} {the|my} {bills|emails|calls|promises|letters} was {answered|kept|correct|read}
    {rather than|instead of} {helping|listening|fixing it|a refund} {they|the [person]} {blamed me|walked off|told me to wait|shut the door}
    {perhaps|maybe} {somebody|you} {should|could} {train|tell|remind} the [person] {to listen|how to help|to be polite|to do the job}`),
  ask: list(`
    {could|can|would} you {please|kindly} {tell|show|send} me {more about the [thing]|the details|the price|the dates|a list|a copy|the address|a form}
    {how|where} {do|can} {i|we} {find|change|book|order|register|use|renew} {the|my|a|our} [thing]
    {is it possible|would it be possible|am i allowed} to {change|book|move|keep|extend|order|swap} the [thing] {[when]|online|by [contact]}
    {when|what time} {does|will|do} {it|you|the [thing]} {open|close|start|end|begin|be ready|be available} [when]
    {how much|how long} {is|does|would} {the|a|one} [thing] {cost|take|last} {for a child|for two|for a week|for a group|}
    {i would like|we would like|i want|i wish|i need} to {book|order|reserve|change|move|register|ask about|add|extend} {a|the|my|our} [thing]
    {please|kindly} {note|let me know|confirm|tell me|send me a note} {by [contact]|[when]|before [day]|if that is fine}
    {do|are} {you|there} {have|offer|sell|any} {other|more|free|similar|smaller|larger|cheaper} {[thing]s|dates|sizes|places|ones} {[when]|available|left|}
    {which|what} {[thing]|size|form|one|plan|kind} {do you recommend|is best for [kin]|suits a beginner|should i choose|do i need}
    {we have moved|i have moved|my name has changed|i got married} , {please|could you} {update|change} {my address|our details|my record|the account}
    {is|are} {the|your} [thing] {also|still} {available|open|free|valid|included|possible} {for students|[when]|in [month]|on [day]|for [kin]}
    {it is nothing urgent|just a quick question|only a short question|i am just asking} , {thanks in advance|no hurry|whenever you have time}
    {i am writing|i am calling|i have a question} about {the|my|our} [thing] {for|of|from} {[day]|[month]|next week|[kin]}
    {does|will} the [thing] {include|come with|need|work with} {breakfast|a form|a card|a password|a receipt|a cover|delivery|a charger}
    {i forgot my umbrella|we left a scarf|i am looking for my gloves|i left a bag there} {[when]|} , {could you look for it|where is lost property}
    {i|we} {forgot|cannot find|have misplaced} {the|our} {case|number|pages|page} , {where|could you tell me where} {i can read it|it is|to look}
    {may|can} {i|we|they} {pick up|fill in|collect|pay} {the|our} [thing] {before noon|until five|with coins|in person|both times}
    {until when|how early|how far ahead|from which age} can {i|we|children} {order|book|cancel|use} {the|a} [thing]
    {someone|a friend} {told me about|mentioned} your [thing] , {is it near the station|is it open on public holidays|what does it include}`),
}
