/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.c - knowledge about commands as one table, sorted by name. Knows no caller and parses
 * nothing. Where a container has a row, its subcommands without one fall back to it.
 *
 * Facts: redis.io/commands and valkey.io/commands. BLMOVEM, TS.READ, HIMPORT, CLIENT
 * MAINT_NOTIFICATIONS and CLUSTER SYNCSLOTS are newer than the servers behind commands.def; DEBUG's
 * subcommands are known to no COMMAND. */
#include "route/rules.h"
#include "call/route.h"

#define ACQUIRE "take one with pmx_acquire()"
#define OUTSIDE "use a connection made without this library for it"
#define OWN(name) name " needs a connection of its own: " ACQUIRE
#define MESSAGES(name) name " fills its connection with messages that answer no command: " OUTSIDE
#define SUBSCRIBES(name, instead)                                                                  \
  name " concerns messages, which answer no command and have a connection of their own: use "      \
       instead "()"
#define REPLICATION(name) name " turns its connection into a replication stream: " OUTSIDE
#define CLIENT_OPTION(name)                                                                        \
  "CLIENT " name " changes one connection only, and calls share them: " ACQUIRE
#define WAIT_HINT(name)                                                                            \
  name " counts only what its own connection wrote: make it the last command of a batch, see "     \
       "pmx_batch_new(), or write and wait on a connection from pmx_acquire()"

/* Rows in short. */
#define PLAIN(name)                                                                                \
  {                                                                                                \
    name, 0, 0, 0, 0, NULL, NULL                                                                   \
  }
#define READS(name)                                                                                \
  {                                                                                                \
    name, ROUTE_READONLY, 0, 0, 0, NULL, NULL                                                      \
  }
#define BULK(name)                                                                                 \
  {                                                                                                \
    name, ROUTE_READONLY | ROUTE_BULK, 0, 0, 0, NULL, NULL                                         \
  }
#define SCRIPT(name)                                                                               \
  {                                                                                                \
    name, ROUTE_SCRIPT, 0, 0, 0, NULL, NULL                                                        \
  }
#define MAY_READ(name, detail)                                                                     \
  {                                                                                                \
    name, 0, 0, 0, detail, NULL, NULL                                                              \
  }
#define BLOCKS(name, parser)                                                                       \
  {                                                                                                \
    name, ROUTE_KEYWAIT, 0, 0, 0, parser, NULL                                                     \
  }
#define PARKS(name)                                                                                \
  {                                                                                                \
    name, ROUTE_PARKS, 0, 0, 0, NULL, NULL                                                         \
  }
#define FLUSHES(name)                                                                              \
  {                                                                                                \
    name, ROUTE_PARKS, 0, 0, DETAIL_FLUSH, NULL, NULL                                              \
  }
#define CONTROLS(name)                                                                             \
  {                                                                                                \
    name, ROUTE_CONTROL, 0, 0, 0, NULL, NULL                                                       \
  }
#define OWNED(name, effect)                                                                        \
  {                                                                                                \
    name, ROUTE_SESSION, effect, effect, 0, NULL, OWN(name)                                        \
  }
#define SESSION(name, effect, hint)                                                                \
  {                                                                                                \
    name, ROUTE_SESSION, effect, effect, 0, NULL, hint                                             \
  }
#define CLIENT(name, effect)                                                                       \
  {                                                                                                \
    "CLIENT " name, ROUTE_SESSION, effect, effect, 0, NULL, CLIENT_OPTION(name)                    \
  }
#define CLIENT_SWITCH(name, on, off)                                                               \
  {                                                                                                \
    "CLIENT " name, ROUTE_SESSION, on, off, DETAIL_SWITCH, NULL, CLIENT_OPTION(name)               \
  }
#define FORBIDDEN(name, hint)                                                                      \
  {                                                                                                \
    name, ROUTE_FORBIDDEN, SESSION_OTHER, SESSION_OTHER, 0, NULL, hint                             \
  }

/* clang-format off */
static const struct rule rules[] = {
  PLAIN("ACL"),
  READS("ACL CAT"),
  READS("ACL DRYRUN"),
  READS("ACL GENPASS"),
  READS("ACL GETUSER"),
  READS("ACL HELP"),
  READS("ACL LIST"),
  READS("ACL USERS"),
  READS("ACL WHOAMI"),
  OWNED("ASKING", SESSION_OTHER),
  SESSION("AUTH", SESSION_OTHER, "AUTH logs one connection in, and calls share them: give user and "
          "password in the URL or the options, or " ACQUIRE),
  MAY_READ("BITFIELD", DETAIL_BITFIELD),
  BLOCKS("BLMOVE", block_move),
  BLOCKS("BLMOVEM", block_move_many),
  BLOCKS("BLMPOP", block_pop_list),
  BLOCKS("BLPOP", block_pop),
  BLOCKS("BRPOP", block_pop),
  BLOCKS("BRPOPLPUSH", block_rpoplpush),
  BLOCKS("BZMPOP", block_pop_sorted),
  BLOCKS("BZPOPMAX", block_pop),
  BLOCKS("BZPOPMIN", block_pop),
  /* A subcommand nobody here has heard of may well change the connection. */
  SESSION("CLIENT", SESSION_OTHER, "this CLIENT subcommand may change its connection, and calls "
          "share them: " ACQUIRE),
  /* Undone, as tracking itself is, by CLIENT TRACKING OFF. */
  CLIENT("CACHING", SESSION_TRACKING_ON),
  CLIENT("CAPA", SESSION_OTHER),
  READS("CLIENT GETNAME"),
  READS("CLIENT GETREDIR"),
  READS("CLIENT HELP"),
  READS("CLIENT ID"),
  CLIENT("IMPORT-SOURCE", SESSION_OTHER),
  READS("CLIENT INFO"),
  CONTROLS("CLIENT KILL"),
  READS("CLIENT LIST"),
  FORBIDDEN("CLIENT MAINT_NOTIFICATIONS", "CLIENT MAINT_NOTIFICATIONS asks for messages that this "
            "library does not act on: leave them off"),
  CLIENT_SWITCH("NO-EVICT", SESSION_NO_EVICT_ON, SESSION_NO_EVICT_OFF),
  CLIENT_SWITCH("NO-TOUCH", SESSION_NO_TOUCH_ON, SESSION_NO_TOUCH_OFF),
  PLAIN("CLIENT PAUSE"),
  FORBIDDEN("CLIENT REPLY", "CLIENT REPLY leaves commands without the replies that calls wait for: "
            "keep replies on and do not look at them"),
  CLIENT("SETINFO", SESSION_OTHER),
  {"CLIENT SETNAME", ROUTE_SESSION, SESSION_NAME, SESSION_NAME, 0, NULL,
   "CLIENT SETNAME names one connection only: set the option client_name, or " ACQUIRE},
  CLIENT_SWITCH("TRACKING", SESSION_TRACKING_ON, SESSION_TRACKING_OFF),
  READS("CLIENT TRACKINGINFO"),
  CONTROLS("CLIENT UNBLOCK"),
  CONTROLS("CLIENT UNPAUSE"),
  PLAIN("CLUSTER"),
  READS("CLUSTER COUNT-FAILURE-REPORTS"),
  READS("CLUSTER COUNTKEYSINSLOT"),
  READS("CLUSTER GETKEYSINSLOT"),
  READS("CLUSTER HELP"),
  READS("CLUSTER INFO"),
  READS("CLUSTER KEYSLOT"),
  READS("CLUSTER LINKS"),
  READS("CLUSTER MYID"),
  READS("CLUSTER MYSHARDID"),
  READS("CLUSTER NODES"),
  READS("CLUSTER REPLICAS"),
  READS("CLUSTER SHARDS"),
  READS("CLUSTER SLAVES"),
  READS("CLUSTER SLOT-STATS"),
  READS("CLUSTER SLOTS"),
  FORBIDDEN("CLUSTER SYNCSLOTS", REPLICATION("CLUSTER SYNCSLOTS")),
  BULK("COMMAND"),
  READS("COMMAND COUNT"),
  READS("COMMAND GETKEYS"),
  READS("COMMAND GETKEYSANDFLAGS"),
  READS("COMMAND HELP"),
  PLAIN("COMMANDLOG"),
  READS("COMMANDLOG GET"),
  READS("COMMANDLOG HELP"),
  READS("COMMANDLOG LEN"),
  PLAIN("CONFIG"),
  READS("CONFIG GET"),
  READS("CONFIG HELP"),
  SCRIPT("DEBUG"),
  FORBIDDEN("DEBUG PROTOCOL", "DEBUG PROTOCOL answers with more than one reply: " OUTSIDE),
  OWNED("DISCARD", SESSION_DISCARD),
  READS("ECHO"),
  SCRIPT("EVAL"),
  SCRIPT("EVALSHA"),
  SCRIPT("EVALSHA_RO"),
  SCRIPT("EVAL_RO"),
  {"EXEC", ROUTE_SESSION | ROUTE_SCRIPT, SESSION_EXEC, SESSION_EXEC, 0, NULL, OWN("EXEC")},
  PLAIN("FAILOVER"),
  CONTROLS("FAILOVER ABORT"),
  SCRIPT("FCALL"),
  SCRIPT("FCALL_RO"),
  FLUSHES("FLUSHALL"),
  FLUSHES("FLUSHDB"),
  PLAIN("FUNCTION"),
  READS("FUNCTION DUMP"),
  READS("FUNCTION HELP"),
  CONTROLS("FUNCTION KILL"),
  READS("FUNCTION LIST"),
  READS("FUNCTION STATS"),
  MAY_READ("GEORADIUS", DETAIL_STORE),
  MAY_READ("GEORADIUSBYMEMBER", DETAIL_STORE),
  SESSION("HELLO", SESSION_OTHER, "HELLO changes login and protocol of one connection, and calls "
          "share them: set the options user, password and protocol, or " ACQUIRE),
  OWNED("HIMPORT", SESSION_OTHER),
  READS("INFO"),
  READS("LASTSAVE"),
  PLAIN("LATENCY"),
  READS("LATENCY DOCTOR"),
  READS("LATENCY GRAPH"),
  READS("LATENCY HELP"),
  READS("LATENCY HISTOGRAM"),
  READS("LATENCY HISTORY"),
  READS("LATENCY LATEST"),
  PLAIN("MEMORY"),
  READS("MEMORY DOCTOR"),
  READS("MEMORY HELP"),
  READS("MEMORY MALLOC-STATS"),
  READS("MEMORY STATS"),
  READS("MEMORY USAGE"),
  {"MIGRATE", ROUTE_SCRIPT | ROUTE_PARKS, 0, 0, 0, block_migrate, NULL},
  PLAIN("MODULE"),
  READS("MODULE HELP"),
  READS("MODULE LIST"),
  FORBIDDEN("MONITOR", MESSAGES("MONITOR")),
  OWNED("MULTI", SESSION_MULTI),
  PLAIN("OBJECT"),
  READS("OBJECT HELP"),
  READS("PING"),
  FORBIDDEN("PSUBSCRIBE", SUBSCRIBES("PSUBSCRIBE", "pmx_sub_add")),
  FORBIDDEN("PSYNC", REPLICATION("PSYNC")),
  PLAIN("PUBSUB"),
  READS("PUBSUB CHANNELS"),
  READS("PUBSUB HELP"),
  READS("PUBSUB NUMPAT"),
  READS("PUBSUB NUMSUB"),
  READS("PUBSUB SHARDCHANNELS"),
  READS("PUBSUB SHARDNUMSUB"),
  FORBIDDEN("PUNSUBSCRIBE", SUBSCRIBES("PUNSUBSCRIBE", "pmx_sub_remove")),
  SESSION("QUIT", SESSION_QUIT, "QUIT closes a connection that other calls share: pmx_unref() ends "
          "the client, or " ACQUIRE),
  OWNED("READONLY", SESSION_READONLY),
  OWNED("READWRITE", SESSION_READWRITE),
  FORBIDDEN("REPLCONF", REPLICATION("REPLCONF")),
  OWNED("RESET", SESSION_RESET),
  {"RG.PYEXECUTE", ROUTE_SCRIPT | ROUTE_PARKS, 0, 0, 0, NULL, NULL},
  {"RG.TRIGGER", ROUTE_SCRIPT | ROUTE_PARKS, 0, 0, 0, NULL, NULL},
  READS("ROLE"),
  PLAIN("SCRIPT"),
  FORBIDDEN("SCRIPT DEBUG", "SCRIPT DEBUG turns the next script into a dialogue: " OUTSIDE),
  READS("SCRIPT EXISTS"),
  READS("SCRIPT HELP"),
  CONTROLS("SCRIPT KILL"),
  READS("SCRIPT SHOW"),
  {"SELECT", ROUTE_SESSION, SESSION_SELECT, SESSION_SELECT, DETAIL_DATABASE, NULL,
   "SELECT changes the database of one connection, and calls share them: name it in the URL or the "
   "option db, or " ACQUIRE},
  PARKS("SHUTDOWN"), /* until its replicas have caught up */
  CONTROLS("SHUTDOWN ABORT"),
  PLAIN("SLOWLOG"),
  READS("SLOWLOG GET"),
  READS("SLOWLOG HELP"),
  READS("SLOWLOG LEN"),
  MAY_READ("SORT", DETAIL_STORE),
  FORBIDDEN("SSUBSCRIBE", SUBSCRIBES("SSUBSCRIBE", "pmx_sub_add")),
  FORBIDDEN("SUBSCRIBE", SUBSCRIBES("SUBSCRIBE", "pmx_sub_add")),
  FORBIDDEN("SUNSUBSCRIBE", SUBSCRIBES("SUNSUBSCRIBE", "pmx_sub_remove")),
  FORBIDDEN("SYNC", REPLICATION("SYNC")),
  {"TFCALL", ROUTE_SCRIPT | ROUTE_PARKS, 0, 0, 0, NULL, NULL},
  {"TFCALLASYNC", ROUTE_SCRIPT | ROUTE_PARKS, 0, 0, 0, NULL, NULL},
  READS("TIME"),
  {"TS.READ", 0, 0, 0, 0, block_read_series, NULL}, /* a module's wait: not one for UNBLOCK */
  FORBIDDEN("UNSUBSCRIBE", SUBSCRIBES("UNSUBSCRIBE", "pmx_sub_remove")),
  OWNED("UNWATCH", SESSION_UNWATCH),
  {"WAIT", ROUTE_SESSION | ROUTE_WAITS, 0, 0, 0, block_wait, WAIT_HINT("WAIT")},
  {"WAITAOF", ROUTE_SESSION | ROUTE_WAITS, 0, 0, 0, block_wait_aof, WAIT_HINT("WAITAOF")},
  OWNED("WATCH", SESSION_WATCH),
  PLAIN("XGROUP"),
  READS("XGROUP HELP"),
  PLAIN("XINFO"),
  READS("XINFO HELP"),
  {"XREAD", ROUTE_KEYWAIT, 0, 0, DETAIL_STREAM, block_read, NULL},
  BLOCKS("XREADGROUP", block_read_group),
};
/* clang-format on */

enum { COUNT = sizeof rules / sizeof rules[0] };

const struct rule *rule_find(const char *name, size_t len, const char *sub, size_t sub_len)
{
  static struct names_index index;
  static const struct names names = {rules, COUNT, sizeof rules[0], &index};

  return names_find(&names, name, len, sub, sub_len);
}

size_t rule_count(void)
{
  return COUNT;
}

const struct rule *rule_at(size_t i)
{
  return i < COUNT ? &rules[i] : NULL;
}
