"""Networks by the number of their operator: where servers live, and Meta's own.

A visitor from a network of servers is unlikely to be a person, but may be one behind a VPN: it is a sign, not a proof.
Left out on purpose: providers of access, and the networks through which relays for people go out (Cloudflare WARP and
iCloud Private Relay: Cloudflare AS13335, Fastly AS54113, Akamai's delivery AS36183) and Google's own AS15169.
Numbers and names as registered, checked against a routing table of June 2026.
"""

META = 32934  # Facebook, Instagram, WhatsApp: crawlers, previews, ad review

HOSTING: frozenset[int] = frozenset(
    {
        # Amazon Web Services
        7224, 8987, 14618, 16509,
        # Google Cloud
        19527, 396982,
        # Microsoft Azure
        8068, 8075,
        # Oracle Cloud
        31898,
        # IBM Cloud (SoftLayer)
        36351,
        # Alibaba Cloud
        37963, 45102, 134963,
        # Tencent Cloud
        45090, 132203, 133478,
        # Huawei Cloud
        55990, 136907,
        # DigitalOcean
        14061, 46652, 393406,
        # OVH
        16276, 35540,
        # Hetzner
        24940, 212317, 213230, 215859,
        # Linode, now Akamai's cloud
        48337, 63949,
        # Vultr (The Constant Company)
        20473,
        # Contabo
        40021, 51167, 141995,
        # Scaleway
        12876, 29447, 54265, 202023,
        # Leaseweb
        7203, 16265, 19148, 27411, 28753, 30633, 38930, 59253, 60781, 133752, 134351, 136988, 205544, 394380,
        395954, 396190, 396362,
        # M247
        9009, 16247, 51332,
        # Datacamp (CDN77), where many VPNs end
        60068, 211612, 212238,
        # Equinix Metal (Packet), and Equinix's hosting in Brazil
        16397, 54825,
        # Rackspace
        12200, 19994, 27357, 33070,
        # IONOS
        8560,
        # GoDaddy
        26496, 398101,
        # Unified Layer (Bluehost, HostGator), HostGator Brasil
        46606, 263093,
        # Locaweb
        27715, 28299, 53244, 262446, 263590, 274483,
        # HostDime
        33182,
        # Hostinger
        47583, 204915,
        # HostPapa, ColoCrossing
        36352, 54290,
        # UpCloud
        202053,
        # netcup
        197540,
        # Kamatera
        41436,
        # Hivelocity
        29802, 61317,
        # Liquid Web, A2, InMotion
        3842, 32244, 55293,
        # Zenlayer
        21859,
        # Smaller ones in America: BuyVM, Psychz, QuadraNet, Interserver, Nocix, ReliableSite, GTHost and others
        8100, 11878, 19318, 23470, 25820, 33387, 40676, 46475, 53667, 62904, 63023,
        # ServerMania (B2 Net)
        55286,
        # Clouvider, Hydra, UK Dedicated Servers, iomart
        20860, 25369, 42831, 62240,
        # WorldStream, NForce, Serverius, The Infrastructure Group
        43350, 49981, 50673, 60404,
        # velia.net, WIIT (myLoc), GleSYS, Cherry Servers, Melbikomas, HZ Hosting
        16125, 24961, 29066, 42708, 56630, 59711,
        # Selectel, Timeweb, Beget
        9123, 49505, 198610,
    }
)  # fmt: skip
