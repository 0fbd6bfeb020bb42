//! Where we mean to answer otherwise than 7.2, and why.

use super::cases::Step;

/// What we answer instead.
pub(crate) enum Answer {
    /// What 7.0 answers.
    As70,
    /// This, written as the cases are.
    Text(&'static str),
}

/// One step that is answered otherwise.
pub(crate) struct Intended {
    /// The step as it stands in the cases.
    pub(crate) step: &'static str,
    /// Our answer.
    pub(crate) answer: Answer,
    /// Why.
    pub(crate) reason: &'static str,
}

const fn as_70(step: &'static str, reason: &'static str) -> Intended {
    Intended {
        step,
        answer: Answer::As70,
        reason,
    }
}

const fn text(step: &'static str, answer: &'static str, reason: &'static str) -> Intended {
    Intended {
        step,
        answer: Answer::Text(answer),
        reason,
    }
}

/// All of them.
pub(crate) const INTENDED: &[Intended] = &[
    text(
        "eval error({})",
        "-ERR unknown error script: 367bf7fe449ba40e54d99d9086aa3c2164008136, on @user_script:1.",
        "7.2 ends with a table that has no err; what follows it answers this",
    ),
    text(
        "eval error({ok='fine'})",
        "-ERR unknown error script: 8385fec2815905c14347a3da95f2c49b548f04d7, on @user_script:1.",
        "7.2 ends with a table that has no err; what follows it answers this",
    ),
    text(
        "eval error({1,2})",
        "-ERR unknown error script: b4a33972d62fe32e66109e3540e9af2b1d5d9d2c, on @user_script:1.",
        "7.2 ends with a table that has no err; what follows it answers this",
    ),
    as_70(
        "eval error('two\\r\\nlines')",
        "7.2 sends the line break raw, which no client can read; 7.0 has blanks for it",
    ),
    as_70(
        "eval local k={} for n in pairs(_G) do k[#k+1]=n end table.sort(k) return table.concat(k,' ')",
        "getfenv, setfenv and newproxy are absent, as where 7.0 is packaged with care: they undo the sandbox",
    ),
    as_70(
        "eval return type(getfenv)",
        "getfenv, setfenv and newproxy are absent, as where 7.0 is packaged with care: they undo the sandbox",
    ),
    as_70(
        "eval return newproxy and 1 or 0",
        "getfenv, setfenv and newproxy are absent, as where 7.0 is packaged with care: they undo the sandbox",
    ),
    as_70(
        "eval local n=0 for k in pairs(_G) do n=n+1 end return n",
        "getfenv, setfenv and newproxy are absent, as where 7.0 is packaged with care: they undo the sandbox",
    ),
    as_70(
        "eval getmetatable('').__index=function() return 1 end return 1",
        "the metatable of strings is read-only: one script could change it for all",
    ),
    as_70(
        "eval getmetatable('').x=1",
        "the metatable of strings is read-only: one script could change it for all",
    ),
    as_70(
        "eval setmetatable(getmetatable(''),{})",
        "the metatable of strings is read-only: one script could change it for all",
    ),
    as_70(
        "eval local k={} for n in pairs(redis) do k[#k+1]=n end table.sort(k) return table.concat(k,' ')",
        "the names of another product are not in redis.*",
    ),
    text(
        "eval return redis.REDIS_VERSION..' '..redis.REDIS_VERSION_NUM",
        "$12\\n7.4.0 459776",
        "the version that INFO says",
    ),
    text(
        "> SCRIPT SHOW e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
        "-NOSCRIPT No matching script. Please use EVAL.",
        "SCRIPT SHOW is of what follows 7.2",
    ),
    text(
        "> SCRIPT HELP",
        "*19\\n+SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\\n+DEBUG (YES|SYNC|NO)\\n+    Set the debug mode for subsequent scripts executed.\\n+EXISTS <sha1> [<sha1> ...]\\n+    Return information about the existence of the scripts in the script cache.\\n+FLUSH [ASYNC|SYNC]\\n+    Flush the Lua scripts cache. Very dangerous on replicas.\\n+    When called without the optional mode argument, the behavior is determined by the\\n+    lazyfree-lazy-user-flush configuration directive. Valid modes are:\\n+    * ASYNC: Asynchronously flush the scripts cache.\\n+    * SYNC: Synchronously flush the scripts cache.\\n+KILL\\n+    Kill the currently executing Lua script.\\n+LOAD <script>\\n+    Load a script into the scripts cache without executing it.\\n+SHOW <sha1>\\n+    The text of a script in the scripts cache.\\n+HELP\\n+    Print this help.",
        "SCRIPT SHOW is of what follows 7.2",
    ),
    text(
        "eval return redis.call('migrate','h',1,'k',0,1)",
        "-ERR Command not allowed inside a transaction script: 89c399cd991790cd7261e08afd4b8a9ef5c2f82b, on @user_script:1.",
        "keys are sent on a thread of its own: a transaction cannot wait for it",
    ),
    text(
        "info number_of_cached_scripts number_of_functions number_of_libraries used_memory_scripts_eval used_memory_functions? used_memory_vm_eval? used_memory_vm_functions? used_memory_vm_total? used_memory_scripts?",
        "number_of_cached_scripts:0\\nnumber_of_functions:0\\nnumber_of_libraries:0\\nused_memory_scripts_eval:0\\nused_memory_functions:0\\nused_memory_vm_eval:more than 0\\nused_memory_vm_functions:0\\nused_memory_vm_total:more than 0\\nused_memory_scripts:0",
        "functions run in the state of the other scripts, and nothing takes memory where there is nothing",
    ),
    text(
        "info number_of_cached_scripts number_of_functions number_of_libraries used_memory_scripts_eval? used_memory_functions? evicted_scripts",
        "number_of_cached_scripts:4\\nnumber_of_functions:2\\nnumber_of_libraries:1\\nused_memory_scripts_eval:more than 0\\nused_memory_functions:more than 0\\nevicted_scripts:0",
        "evicted_scripts is of the version that INFO says",
    ),
];

/// Steps whose answer depends on the thread that gives it, where there are several: each has its own state of Lua.
const BY_THREAD: &[&str] = &["> FCALL count 0"];

/// Whether any answer of several shards to a step is right.
pub(crate) fn is_by_thread(step: &Step) -> bool {
    BY_THREAD.contains(&&*step.text)
}

/// What a step must answer.
pub(crate) fn expected_of(step: &Step) -> Option<&str> {
    let intended = INTENDED
        .iter()
        .find(|difference| difference.step == step.text);
    match intended {
        None => step.expected.as_deref(),
        Some(Intended {
            answer: Answer::As70,
            ..
        }) => step.older.as_deref(),
        Some(Intended {
            answer: Answer::Text(text),
            ..
        }) => Some(text),
    }
}
