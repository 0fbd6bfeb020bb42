//! Command lines in which keys are looked for.

/// Right and wrong ones, at least one of each command with keys.
pub(super) const LINES_WITH_KEYS: &str = "\
    append a b
    bitcount a
    bitcount a 0 1 bit
    bitfield a
    bitfield a get u8 0
    bitfield a get u8 0 overflow sat
    bitfield a get u8 0 set u8 0 1
    bitfield a overflow sat incrby u8 0 1
    bitfield a get u8
    bitfield a foo
    bitfield_ro a get u8 0
    bitop and a b c
    bitop not a b
    bitop and a
    bitpos a 1
    blmove a b left right 0
    blmove a b left right
    blmpop 0 1 a left
    geoadd a 1 1 b
    geodist a b c
    geohash a b
    geopos a b
    georadius a 1 1 1 m
    georadius a 1 1 1 m store b
    georadius a 1 1 1 m storedist b
    georadius a 1 1 1 m store b storedist c
    georadius a 1 1 1 m store store store
    georadius a 1 1 1 m store
    georadius_ro a 1 1 1 m store b
    georadiusbymember a b 1 m
    georadiusbymember a b 1 m store c
    georadiusbymember a store 1 m storedist c
    georadiusbymember_ro a b 1 m
    geosearch a frommember b byradius 1 m
    geosearchstore a b frommember c byradius 1 m
    blmpop 0 2 a b left count 3
    blmpop 0 0 a left
    blmpop 0 -1 a left
    blmpop 0 x a left
    blmpop 0 3 a left
    blmpop 0 2 a left
    blmpop 0 1 left
    blmpop 0 1
    blpop a 0
    blpop a b c 0
    blpop a
    brpop a b 0
    brpoplpush a b 0
    copy a b
    dump a
    restore a 0 b
    restore-asking a 0 b replace
    copy a b db 1 replace
    migrate h 1 a 0 1
    migrate h 1 a 0 1 copy replace auth keys
    migrate h 1 a 0 1 auth2 keys keys
    migrate h 1 a 0 1 keys b
    migrate h 1 a 0
    debug object a
    debug sleep 0
    debug digest-value a b
    decr a
    decrby a 1
    del a
    del a b c
    exists a b
    expire a 1
    expire a 1 nx
    expireat a 1
    expiretime a
    get a
    getbit a 1
    get
    get a b
    getdel a
    getex a
    getex a persist
    getex a ex 10
    getex a foo
    getrange a 0 1
    getset a b
    hdel a b c
    hexists a b
    hexpire a 1 fields 1 b
    hexpireat a 1 fields 1 b
    hexpiretime a fields 1 b
    hget a b
    hgetall a
    hincrby a b 1
    hincrbyfloat a b 1
    hkeys a
    hlen a
    hmget a b c
    hmset a b c
    hpersist a fields 1 b
    hpexpire a 1 nx fields 1 b
    hpexpireat a 1 fields 1 b
    hpexpiretime a fields 1 b
    hpttl a fields 1 b
    httl a fields 1 b
    hrandfield a
    hrandfield a 2 withvalues
    hscan a 0 match b
    hset a b c
    hsetnx a b c
    hstrlen a b
    hvals a
    incr a
    incrby a 1
    incrbyfloat a 1
    lcs a b
    lcs a b len
    lindex a 0
    linsert a before b c
    llen a
    lmove a b left right
    lmpop 1 a left
    lmpop 2 a b left
    lmpop 0 a left
    lmpop 5 a left
    lmpop -1 a left
    lmpop 99999999999999999999 a left
    lmpop 2147483648 a left
    lmpop 1 a
    lpop a
    lpop a 2
    lpos a b
    lpush a b
    lpush a b c d
    lpushx a b
    lrange a 0 1
    lrem a 0 b
    lset a 0 b
    ltrim a 0 1
    memory usage a
    memory usage a samples 3
    memory usage
    memory doctor
    memory nosuch a
    mget a b c
    mget a
    move a 1
    mset a 1 b 2 c 3
    mset a 1 b
    mset a
    msetnx a 1 b 2
    msetnx a 1 b
    object encoding a
    object freq a
    object idletime a
    object refcount a
    object help
    object nosuch a
    object encoding
    persist a
    pexpire a 1
    pfadd a
    pfadd a b c
    pfcount a
    pfcount a b
    pfdebug getreg a
    pfmerge a
    pfmerge a b c
    pexpireat a 1
    pexpiretime a
    psetex a 1 b
    pttl a
    rename a b
    renamenx a b
    rpop a
    rpoplpush a b
    rpush a b
    rpushx a b
    set a b
    set a b get
    set a b nx get
    set a b ex 10
    set a b foo
    set a b GeT
    set a b get get
    set get get
    set a get
    setbit a 1 1
    setex a 1 b
    setnx a b
    setrange a 0 b
    strlen a
    substr a 0 1
    touch a b
    ttl a
    type a
    unlink a b
    watch a b
    xack a g 1-1
    xackdel a g ids 1 1-1
    xadd a * f v
    xautoclaim a g c 0 0
    xcfgset a idmp-maxsize 5
    xclaim a g c 0 1-1
    xdel a 1-1
    xdelex a acked ids 1 1-1
    xidmprecord a p i 1-1
    xgroup create a g $
    xgroup createconsumer a g c
    xgroup delconsumer a g c
    xgroup destroy a g
    xgroup setid a g $
    xgroup help
    xgroup nosuch a
    xgroup create a
    xgroup
    xinfo consumers a g
    xinfo groups a
    xinfo stream a
    xinfo stream a full count 2
    xinfo help
    xlen a
    xnack a g fail ids 1 1-1
    xpending a g
    xrange a - +
    xread streams a 0
    xread count 2 streams a b 0 0
    xread count 2 block 3 streams a b c 0 0 0
    xread streams a b 0
    xread streams a
    xread streams
    xread count 2
    xread count 2 a
    xread streams streams 0
    xread block streams streams a 0
    xread count streams streams a 0
    xread foo streams a 0
    xread streams a b 0 0 0
    xread count 2 foo bar
    xreadgroup group g c streams a >
    xreadgroup group g c count 1 noack streams a b > >
    xreadgroup group streams c streams a >
    xreadgroup group g streams streams a >
    xreadgroup group g c streams a b >
    xreadgroup group g c foo streams a >
    xreadgroup group g c count 1 noack
    xreadgroup streams a b c d e
    xreadgroup group g c block 1 noack noack streams a >
    xrevrange a + -
    xsetid a 1-1
    xtrim a maxlen 1
    bzmove a b min 0
    bzmove a b max 0 count 3
    bzmpop 0 2 a b min count 3
    bzmpop 0 0 a min
    bzmpop 0 3 a min
    bzpopmax a b 0
    bzpopmin a 0
    sadd a b
    scard a
    sdiff a b
    sdiffstore a b c
    sinter a b
    sintercard 2 a b
    sintercard 0 a
    sinterstore a b
    sismember a b
    smembers a
    smismember a b c
    smove a b c
    sort a
    sort a by b get c_* store d
    sort a by b* limit 0 1 store d store e
    sort a get store
    sort_ro a by b get c_*
    spop a
    srandmember a 1
    srem a b
    sscan a 0
    sunion a b
    sunionstore a b c
    zadd a 1 b
    zadd a nx ch 1 b 2 c
    zcard a
    zcount a 0 1
    zdiff 2 a b withscores
    zdiffstore d 2 a b
    zincrby a 1 b
    zinter 2 a b weights 1 2 aggregate max
    zinter 3 a b
    zintercard 2 a b limit 1
    zinterstore d 2 a b
    zlexcount a - +
    zmove a b min
    zmove a b byscore 1 2 count 3
    zmovemember a b nx members 2 c d
    zmpop 2 a b max
    zmpop 0 a max
    zmscore a b c
    zpopmax a 2
    zpopmin a
    zrandmember a 2 withscores
    zrange a 0 1
    zrangebylex a - +
    zrangebyscore a 0 1
    zrangestore d a 0 1
    zrank a b
    zrem a b
    zremrangebylex a - +
    zremrangebyrank a 0 1
    zremrangebyscore a 0 1
    zrevrange a 0 1
    zrevrangebylex a + -
    zrevrangebyscore a 1 0
    zrevrank a b
    zscan a 0
    zscore a b
    zunion 1 a
    eval s 0
    eval s 1 a
    eval s 2 a b c
    eval s 2 a
    eval s x a
    eval s -1 a
    evalsha s 1 a b
    eval_ro s 1 a b
    evalsha_ro s 2 a b
    fcall f 1 a b
    fcall f 3 a
    fcall_ro f 1 a
    zunionstore d 2 a b weights 1 2
    zunionstore d 0 a
    zunionstore d 3 a
    ping
    publish a b
    spublish a b
    ssubscribe a
    subscribe a
    sunsubscribe a
    sunsubscribe
    keys *
    scan 0
    randomkey
    info
    nosuch a
    command getkeys get a
    command getkeys
    acl cat
    client list
    client
    config get a
    cluster keyslot a
    function list
    debug
    latency graph a
    module list
    multi
    exec
    flushall
    swapdb 0 1
    dbsize
    select 0
    wait 0 0
    waitaof 0 0 0
    GET A
    OBJECT ENCODING a
    XREAD STREAMS a 0";
