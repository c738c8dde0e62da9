"""Names and codes of places, letters only and without accents, by the code that Meta compares.

Countries: all of ISO 3166-1, alpha-3 before alpha-2. States: ISO 3166-2 of Brazil and of the United States. Names of
countries: those that have customers of Brazil's bots, in Portuguese, English and Spanish.
"""


def _by_name(table: str) -> dict[str, str]:
    """`code:name,name code:name` as name to code."""
    pairs = (entry.split(":") for entry in table.split())
    return {name: code for code, names in pairs for name in names.split(",")}


BRAZIL = "br"
_ISO = """
    abwaw afgaf agoao aiaai alaax albal andad areae argar armam asmas ataaq atftf atgag ausau autat azeaz
    bdibi belbe benbj besbq bfabf bgdbd bgrbg bhrbh bhsbs bihba blmbl blrby blzbz bmubm bolbo brabr brbbb
    brnbn btnbt bvtbv bwabw cafcf canca cckcc chech chlcl chncn civci cmrcm codcd cogcg cokck colco comkm
    cpvcv cricr cubcu cuwcw cxrcx cymky cypcy czecz deude djidj dmadm dnkdk domdo dzadz ecuec egyeg erier
    esheh espes estee ethet finfi fjifj flkfk frafr frofo fsmfm gabga gbrgb geoge ggygg ghagh gibgi gingn
    glpgp gmbgm gnbgw gnqgq grcgr grdgd grlgl gtmgt gufgf gumgu guygy hkghk hmdhm hndhn hrvhr htiht hunhu
    idnid imnim indin iotio irlie irnir irqiq islis isril itait jamjm jeyje jorjo jpnjp kazkz kenke kgzkg
    khmkh kirki knakn korkr kwtkw laola lbnlb lbrlr lbyly lcalc lieli lkalk lsols ltult luxlu lvalv macmo
    mafmf marma mcomc mdamd mdgmg mdvmv mexmx mhlmh mkdmk mliml mltmt mmrmm mneme mngmn mnpmp mozmz mrtmr
    msrms mtqmq musmu mwimw mysmy mytyt namna nclnc nerne nfknf ngang nicni niunu nldnl norno nplnp nrunr
    nzlnz omnom pakpk panpa pcnpn perpe phlph plwpw pngpg polpl pripr prkkp prtpt prypy pseps pyfpf qatqa
    reure rouro rusru rwarw sausa sdnsd sensn sgpsg sgsgs shnsh sjmsj slbsb slesl slvsv smrsm somso spmpm
    srbrs ssdss stpst sursr svksk svnsi swese swzsz sxmsx sycsc syrsy tcatc tcdtd tgotg thath tjktj tkltk
    tkmtm tlstl tonto ttott tuntn turtr tuvtv twntw tzatz ugaug ukrua umium uryuy usaus uzbuz vatva vctvc
    venve vgbvg virvi vnmvn vutvu wlfwf wsmws yemye zafza zmbzm zwezw
"""
ALPHA3 = {pair[:3]: pair[3:] for pair in _ISO.split()}
ALPHA2 = frozenset(ALPHA3.values())
STATES_OF_BRAZIL = _by_name("""
    ac:acre al:alagoas am:amazonas ap:amapa ba:bahia ce:ceara df:distritofederal es:espiritosanto go:goias
    ma:maranhao mg:minasgerais ms:matogrossodosul mt:matogrosso pa:para pb:paraiba pe:pernambuco pi:piaui
    pr:parana rj:riodejaneiro rn:riograndedonorte ro:rondonia rr:roraima rs:riograndedosul sc:santacatarina
    se:sergipe sp:saopaulo to:tocantins
""")
STATES_OF_US = _by_name("""
    ak:alaska al:alabama ar:arkansas az:arizona ca:california co:colorado ct:connecticut dc:districtofcolumbia
    de:delaware fl:florida ga:georgia hi:hawaii ia:iowa id:idaho il:illinois in:indiana ks:kansas ky:kentucky
    la:louisiana ma:massachusetts md:maryland me:maine mi:michigan mn:minnesota mo:missouri ms:mississippi
    mt:montana nc:northcarolina nd:northdakota ne:nebraska nh:newhampshire nj:newjersey nm:newmexico nv:nevada
    ny:newyork oh:ohio ok:oklahoma or:oregon pa:pennsylvania pr:puertorico ri:rhodeisland sc:southcarolina
    sd:southdakota tn:tennessee tx:texas ut:utah va:virginia vt:vermont wa:washington wi:wisconsin
    wv:westvirginia wy:wyoming
""")
COUNTRIES = _by_name("""
    br:brazil,brasil,republicafederativadobrasil ar:argentina bo:bolivia cl:chile co:colombia cr:costarica
    cu:cuba do:republicadominicana,dominicanrepublic ec:ecuador,equador sv:elsalvador gt:guatemala hn:honduras
    mx:mexico ni:nicaragua pa:panama py:paraguay,paraguai pe:peru pr:puertorico,portorico uy:uruguay,uruguai
    ve:venezuela gy:guyana,guiana sr:suriname,surinam
    us:usa,unitedstates,unitedstatesofamerica,estadosunidos,estadosunidosdaamerica,eua,eeuu ca:canada
    pt:portugal es:spain,espanha,espana fr:france,franca,francia it:italy,italia de:germany,alemanha,alemania
    gb:unitedkingdom,reinounido,greatbritain,grabretanha,uk,england,inglaterra ie:ireland,irlanda
    nl:netherlands,paisesbaixos,holanda,holland be:belgium,belgica ch:switzerland,suica,suiza at:austria
    lu:luxembourg,luxemburgo dk:denmark,dinamarca se:sweden,suecia no:norway,noruega fi:finland,finlandia
    pl:poland,polonia cz:czechia,czechrepublic,republicatcheca,tchequia gr:greece,grecia hu:hungary,hungria
    ro:romania,romenia ua:ukraine,ucrania ru:russia,russianfederation tr:turkey,turquia ao:angola
    mz:mozambique,mocambique cv:capeverde,caboverde gw:guineabissau,guinebissau st:saotomeeprincipe
    tl:timorleste,easttimor za:southafrica,africadosul ng:nigeria eg:egypt,egito ma:morocco,marrocos
    jp:japan,japao,japon cn:china in:india kr:southkorea,coreiadosul,coreadelsur au:australia
    nz:newzealand,novazelandia il:israel ae:unitedarabemirates,emiradosarabesunidos
    sa:saudiarabia,arabiasaudita lb:lebanon,libano ph:philippines,filipinas id:indonesia th:thailand,tailandia
    vn:vietnam,vietna sg:singapore,singapura my:malaysia,malasia
""")
