"""Persian in Latin letters ("kheili bad bood"), which no library of language identification knows.

Nobody spells it by a standard, so words are brought to one plain spelling first ("khoob", "khub", "xoob": `xub`), then
looked up, whole or without their endings. Words that other languages share ("in", "man", "to") prove little; words of
English, and of Hindi and Urdu in Latin letters, speak against.
"""

from __future__ import annotations

import re
from functools import cache

MIN_EVIDENCE = 0.8
"""Sum over the words; one unmistakable word is 1."""
MIN_SHARE = 0.3
"""Evidence by number of words: a Persian name in an English sentence is not enough ..."""
WORDS_TO_PROVE = 8
"""... but of a long text so many words suffice."""
SHARED_WEIGHT = 0.4
ENDING_WEIGHT = 0.8

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_PLAIN = (
    (re.compile(r"(.)\1+"), r"\1\1"),
    (re.compile("kh"), "x"),
    (re.compile("gh"), "q"),
    (re.compile("zh"), "j"),
    (re.compile("oo|ou|uu"), "u"),
    (re.compile("ee|iy|ii"), "i"),
    (re.compile("aa"), "a"),
    (re.compile("ey|ei"), "ey"),
    (re.compile(r"(?<=e)h$"), ""),
    (re.compile(r"(.)\1"), r"\1"),
    (re.compile("y$"), "i"),
    (re.compile("w"), "v"),
    (re.compile("ph"), "f"),
    (re.compile("c(?!h)"), "k"),
)

_PERSIAN = """
salam khoob khub khob khoobe khube kheili kheyli khili kheli khyli kheily khoobi khoobam khoobeh alie aliye aalie aaliye awli bood
nabood nabud nabod boodam budam boodan budan nadasht dasht dashtam dashtan nadashtam hast hastam hastim hastid hastan hastin nist
nistam nistan nistid nistesh chera cheraa chetor chetori chejoori chejuri chikar chizi chiz chand chande chanta kojast koja kojaye
kodom kodoom vaghti vaghte vaght vaghean vaghan vaqan vagheean vaghei vaqean vaghiat vaghie hamishe hamash hamechi hamechiz hameye
hamintor hamin hamoon hamun hanooz hanuz hanoz nemishe mishe misheh beshe bashe bashid bashin bashan nabashe nabashid nashod shode
shod shodam shodan nashode nashodeh mishavad nemishavad mikonam mikoni mikone mikonim mikonid mikonan mikonin mikard kardam kardan
kardid kardin karde kardeh kardim nakardam nakardan nakone nakonid nakonin konid konin bokonid bekonid bekonam konam dadam dadan
dadid dadin dadeh nadadan nadadin nadadid midam midan mide midin bedid bedin bede bedeh bedam midahad dastan goft goftam goftan
migan migam mige migim begam begid begoo begu raft raftam raftan rafte miram mire beram berid amad amadam omad omadam umad umadam
miad miyad nemiad nemiyad biad biyad biayad oomad nayomad nayumad miyan bia biya resid reside residan nareside naresid miresid
mirese mirasid beresid gereft gereftam gereftan gerefte migiram begiram begirid kharid kharidam kharidan kharide kharidim bekharid
bekharin bekharam mikharam nakharid nakharin kharidari khordam khordan khord mikhore mikhoram bekhorid bokhorid khordim nemikhore
mikham mikhay mikhad mikhaym mikhain mikhastam mikhaste khastam khaste mitoonam mitunam mitoone mitune mitoonid mitoonin mitavan
betoonam betunam nemitoonam nemitunam nemitoone tavan midoonam midunam midoone midunid midoonid nemidoonam nemidunam nemidonam
midonam danest bedoonid miduni didam didan dide dideh bebin bebinid bebinam bebinim bebinin mibinam mibinid bezanid bezan mizanam
mizanid mizane mizani mizanan zadan zadam zadid ferestadan ferestadam ferestadin ferestad befrestid befrestin mifreste mifrestan
ferestadid gozasht gozashte gozashtam gozashtan bezarid bezarin bezar mizaran mizarid bardasht bardashtan barnagasht bargasht
bargardoonid bargardoonin bargardand bargardune gharar aslan asln vali pishnahad pishnehad tosie tosiye tosiyeh lotfan lotfn lotf
khahesh khaheshan khahesham mamnoon mamnun mamnoonam mamnunam mamnon mersi mercii tashakor tashakkor moteshakeram motshakeram
sepas sepasgozaram sepasgozar damet dametoon dametun dametoun dastetoon dastetun dastet nabashin khoda khodaya khodavakili
khodafez khodahafez ghaza ghazaha ghazash ghazaye ghazatoon ghazashon keyfiat keyfiyat kifiat keifiat keyfiatesh keyfyat keifiyat
gheymat gheimat qeymat gheymatesh gheymatha ghymat geroon gerun geron geran arzoon arzun arzan ersal ersali sefaresh sefareshe
sefaresham sefareshi sefareshat poshtibani poshtiban poshtibanitoon peyk peik peyki ghabli ghabl ghablan badi badesh badan behtar
behtarin behtare badtar badtarin badtarine zaeif zaif zaeef zayif kharab kharabe khrab eshtebah eshtebahi eshtebahe eshtebahan
moshkel moshkele moshkelam moshkeli moshkelat javab javabgoo javabgu javabi pasokh pasokhgoo pasokhgu ghat ghate ghatie vasl
varede hesab hesabam hesabesh hesabe pardakht pardakhti takhfif takhfifi taghalobi taghallobi kolahbardar kolahbardari kolah
doroogh dorugh dorooghgoo dorost dorosti doroste baste bandi bastebandi basteh jaabe mahsool mahsul mahsoole mahsulat kala kalaha
forooshgah forushgah foroosh forush forooshande forushande moshtari moshtariha barname barnameh barnamatoon barnamash narmafzar
gooshi gushi gooshim gushim goshi gooshie gooshiam safhe safheash tasvir aks akshash aksesh rangesh rangash sizesh andaze andazeh
andazash jens jensesh jense kootah bozorg koochik kuchik kochik kochike koochike kam kami kame ziad ziyad ziadi ziade besyar
besiar basiar bishtar kamtar aval avalin akhar akharin akhe chon choon chun balke inke inkeh ounja oonja inja injaa injoori injuri
intori intoor enghadr inghadr anghadr inghad enghad oon oonam oona inam hich hichi hichvaght hichkas kasi hichkasi digar dige
digeh yedoone yedune yeki yekam yekbar dobare dobareh emrooz emruz diroz dirooz diruz farda fardash shab shabha sobh zohr rooz
rooze ruz ruze roozha roozeh hafte haftas hafteye saat saate daghighe montazer montazeram montazerim moonde munde mundeh bayad
bayd shayad hatman hatmn aalan alan felan ahsant mozakhraf mozakhrafe mozakhrafi eftezah eftezahe eftezaah eftezahi afsoos fajee
fajie ashghal ashghale bikhod bikhode bikhodie maskhare maskharas bihoode alaki sharmandeh sharmande afarin ahsante barikala
bahbah dadash dadashi aziz azizam aghaye khanoom khanom jenab mohtaram ranande moadab moaddab biadab adab raftar raftare raftaresh
barkhord barkhorde barkhordeshoon modir modiriat karmand karkonan otagh otaghha otaghemoon hotele sobhane tamiz kasif kasife bouye
booye mazash mazeh mazze maze khoshmaze khoshmazeh bimaze talkh shirin shirini torsh shoor sard sarde dagh daghe garm taze tazeh
bayat moondeh berenj kabab goosht gusht morgh zamini sabzi chai roghan bazgasht poolam poolamo pulam poolesh poolemo puletoon
toman tooman tuman tomn rial hezar hezari hazine hazineh arzesh arzesham arzeshe nadare dare daram darid darim daran darin nadaram
nadaran nadarid nadarim nadarin dashte dashtim bashim khosham khoshet khoshemoon khoshhal khoshgel ghashang ghashange zibaa zibast
jaleb jalebe jalebi ajab ajibe ajib sakht sakhte sade sadeh rahat rahate rahati rahatie amn amniat etemad etemadi motmaen
motmaenam razi raziam raziyam razim naraazi narazi narazie narazim pashimoon pashimun pashimoonam ghadimi jadid jadide jadidesh
jadida taghyir taghir taghiir ezafe ezafeh hazf nasb nasbesh nasbe ramz ramzam ramzesh ramze shomare shomareh shomaram telefon
tamas tamasam peygiri peigiri elam etela ettela ettelaat esme esmesh esmam khodam khodetoon khodeton khodeshoon khodesh khodemoon
khodemun khodet baraye baraaye baram barat barash barashoon vase vaseh vasam vasash vasatoon behesh behem behet beheshon azash
azatoon azatun azam bahash bahashoon bahatoon dooste dust doost doostam doostan dustan bache bacheha khoone khune khooneh khunam
mashin mashine mashinam roshan khamoosh khamush kharj khoroj vorood vorud vared sabt sabte nam tablighat tabligh tablighatesh
tablighi mozahem mozahemat roozi shabih shabihe shekl shekle farghi fargh ferestade yadam yade sedash seda sedaye sedaash tamam
tamoom tamum tamoome mojood mojoode mojud mojoodi soal soale soalam soali javabe garanti garantie estefade estefadeh estefadash
fekr fekri fekre nazar nazare nazaram nazir binazir asli aslie taghriban taghriba hodoodan hodud hodoode moghe bemoghe zood zoode
zoodtar zudtar dire dirtar sari saritar saree aroom aroome kond sorat soraat soratesh sorate internetesh rayegan lebas lebasash
lebase kafsh kafshesh kafshe shalvar panjamo nakhi parche parcheh halat hal halet khabar khabari khabare khabaram zendegi
gozashteh daneshgah danesh madrese ostad doctore bimar bimarestan mardom mellat mamlekat keshvar dolat vazir vaziat vaziyat
vazeshe vazesh vazeshoon shahr shahre khiaboon khiabun tehran esfahan vagan mesle mesl mesli msle haminjoori haminjuri hamnjor
hamsaram madaram pedaram maman khaharam baradaram dokhtaram pesaram kasani baghie baghiye bagheye avazesh kheyr khayr areh aare
bale baleh lotfesh zaher zaheresh zaheran daghighan kamelan kameli doros entezar entezaram tavaghoh tavajoh taakid takid talab
talabkar bod shokr khodro omidvaram omidvar ayande ayandeh kolan hozuri hozoori dorostesh vasate vasat mofti bebarid bebarin
bebari melat aqa aqaye agha aghayan haji hajji javan madaret pedaret khodeto khodemuno chekar bekhoda ridid ridin ridam gandesh
binamos nmishe nmikone nmidunam nmidonam mn shma vse hme chra dg mrc mrsi enqad enqadr inqadr fogholade foghol fogholadeh
foghoalade asheghe asheghesh asheghesham bendazid bendazin biroon birun biron beham rikhte rikht vahshatnak jaleban ghashangi
khafan khafane tavanai toolani tulani mohem moheme zarfiat zarfiyat zarar majani majanie sorataro sorateton sorateshoon paein
paeen paiin bala balatar balatare payin payine payan khatarnak khatar moshkelesh bastebandish motafavet motafavete motefavet
natije natijeh natayej bazikon bazikardan khodetan bashgah dandoon doctoresh daroo daru darookhane ayabani edare edareh ghanoon
ghanun hoghoogh hoghugh vaam vam sood karmozd karmzd baraks makhsoosan makhsusan khososan dorbin doorbin dorbinesh dorbine shargh
sharj sharje sharzh sharzhe charger zarfe zarf ghashogh changal divar miz sandali takht
"""
_SHARED = """
in to man ma mano az ba be ham ke va ye yek do har na ne an on un dar ro ra ta age agar ama amma ali aali bad kar kare pas key ki
chi kam por kol kheir fogh aya aye hal hata tak tanha sar sare dast dard bi bala paein baz bazam bar baran jan joon balast sal dor
del harf mahz rast nan mokhe mirim fekr ase chie kie asl jaye ja bara re bare shab shoma shomam balad mah size dade merci merc
yani dir noon bazi ride ridi pool se bud
"""
_AGAINST = """
the is are was were this that it its and or of for with my your you we they not no very but have has had will would can could
should i me he she his her our their from by at as so if just really please than then there here what when why how who which
because about up out all any some get got make made use used app's don't doesn't didn't can't won't isn't good great love like
time been too more hai hain nahi nahin nhi bahut bohot bahot acha accha achha kya mera meri mujhe tha thi bhai yaar aur gaya raha
rahi kuch sab hi ho ki ka ke yang tidak dan ini itu di saya sangat untuk dengan bir ve bu cok çok değil için ama var yok que de la
el los las un una por para con muy es le les des est pas pour dans je il elle und der die das ist nicht ich mit ein eine zu sehr
"""
_ENDINGS = re.compile(
    "(?:ha|haye|hash|hasho|hatun|hatoon|hamun|haro|esh|ash|esho|am|et|at|etun|atun|eton|atun|itun|itoon|eshun|eshon|ashun|amun|emun|"
    "emo|amo|esho|o|ro|e|i|ie|im|id|in|an|and|ye|tar|tarin|tare|tarine|as|ast)$"
)
_VERB = re.compile(
    "n?e?mi(?:kon|kard|sh|shav|x|xa|xah|xast|xor|xord|xar|xarid|tun|tunest|tavan|dun|don|dunest|bin|did|zan|zad|d|dad|dah|g|gu|goft|"
    "r|rav|raft|ras|res|resid|gir|gereft|frest|ferest|ferestad|zar|gozar|gozasht|ar|avar|yar|ay|a|ad|and|mun|mund|band|suz|sux|"
    "saz|sax|kesh|keshid|gard|gasht|bar|bord|rix|riz|fahm|fahmid|xun|xund|dar|dasht|forush|foruxt|bash|pors|porsid|lang|charb|arz)"
    "(?:am|i|e|ad|im|in|id|an|and|d|n|sh|esh|et|eshun|amesh)?"
)


def is_latin_persian(text: str) -> bool:
    """Say whether a text in Latin letters is Persian."""
    words = _WORD.findall(text.lower())
    found = evidence(words)
    return found >= MIN_EVIDENCE and found >= MIN_SHARE * min(len(words), WORDS_TO_PROVE)


def evidence(words: list[str]) -> float:
    """Sum what each word, in lower case, says for Persian; words of other languages count against it."""
    return sum(_weight(word) for word in words)


@cache
def _lexicon() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    shared = frozenset(_SHARED.split())
    against = frozenset(_AGAINST.split())
    persian = frozenset(plain_spelling(word) for word in _PERSIAN.split())
    return persian, shared, against


def _weight(word: str) -> float:
    persian, shared, against = _lexicon()
    if word in shared:
        return SHARED_WEIGHT if word not in against else 0.0
    if word in against:
        return -1.0
    plain = plain_spelling(word)
    if plain in persian:
        return 1.0
    if word.startswith(("nemi", "nmi")) or (len(plain) > 4 and _VERB.fullmatch(plain)):
        return 1.0
    stem = _ENDINGS.sub("", plain)
    if len(stem) > 3 and stem in persian and stem != plain:
        return ENDING_WEIGHT
    return 0.0


def plain_spelling(word: str) -> str:
    """Bring the spellings of one word together: khoob, khub and xoob become xub."""
    for pattern, replacement in _PLAIN:
        word = pattern.sub(replacement, word)
    return word
