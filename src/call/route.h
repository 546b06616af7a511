/* SPDX-License-Identifier: BSD-3-Clause */
/* route.h - what the router found out about a request: the noun, filled in by src/route. */
#ifndef PMX_CALL_ROUTE_H
#define PMX_CALL_ROUTE_H
#include <stdint.h>

/* What a command does to the session of its connection, once the server has accepted it. */
enum session_effect {
  SESSION_NONE = 0,
  SESSION_WATCH,
  SESSION_UNWATCH,
  SESSION_MULTI,
  SESSION_EXEC,
  SESSION_DISCARD,
  SESSION_SELECT, /* arg = database, or -1 when it is not a number */
  SESSION_NAME,   /* CLIENT SETNAME */
  SESSION_TRACKING_ON,
  SESSION_TRACKING_OFF,
  SESSION_NO_EVICT_ON,
  SESSION_NO_EVICT_OFF,
  SESSION_NO_TOUCH_ON,
  SESSION_NO_TOUCH_OFF,
  SESSION_READONLY,
  SESSION_READWRITE,
  SESSION_RESET,
  SESSION_QUIT,
  SESSION_OTHER /* AUTH, HELLO, CLIENT SETINFO …: changes that only a new connection undoes */
};

enum route_flags {
  ROUTE_READONLY = 1 << 0,  /* changes nothing: may run twice */
  ROUTE_SCRIPT = 1 << 1,    /* EVAL, FCALL, EXEC …: an error reply may come after effects */
  ROUTE_BLOCKING = 1 << 2,  /* waits at the server; block_ms says how long */
  ROUTE_SESSION = 1 << 3,   /* changes or needs the connection's state: leases only */
  ROUTE_FORBIDDEN = 1 << 4, /* never through this API, leases included; hint says why */
  ROUTE_KNOWN = 1 << 5,     /* in the command table */
  ROUTE_KEYWAIT = 1 << 6,   /* BLOCKING, and for a key: CLIENT UNBLOCK ends its wait */
  ROUTE_PARKS = 1 << 7,     /* may hold up its connection, and what is behind it there */
  ROUTE_CONTROL = 1 << 8,   /* ends what others wait for: must not stand in line behind that */
  ROUTE_BULK = 1 << 9,      /* answered with very much, deeply nested */
  ROUTE_WAITS = 1 << 10     /* WAIT, WAITAOF: counts what its own connection wrote before it */
};

#define ROUTE_BLOCK_FOREVER INT64_MAX

/* What a command is answered with, errors aside. */
enum route_shape {
  SHAPE_TEXT = 1 << 0, /* a string of any kind */
  SHAPE_NIL = 1 << 1,
  SHAPE_INTEGER = 1 << 2,
  SHAPE_LIST = 1 << 3 /* an array, a map or a set */
};

/* What a caller asked for. */
enum route_wish { WISH_NONE, WISH_DEDICATED, WISH_SHARED };

/* Where a request goes, with a strategy that has more than one kind of place. */
enum route_place { PLACE_LANE, PLACE_POOL, PLACE_CONTROL };

/* Why it goes there. */
enum route_reason {
  REASON_ORDINARY,
  REASON_WISH,
  REASON_BLOCKS,
  REASON_PARKS,
  REASON_LARGE,
  REASON_BATCH,
  REASON_CONTROL,
  REASON_UNKNOWN,
  REASON_LEARNED,
  ROUTE_REASONS
};

struct route {
  uint32_t flags;      /* ROUTE_* */
  uint16_t effect;     /* enum session_effect */
  uint8_t shape;       /* SHAPE_*; 0 = any */
  uint8_t wish;        /* enum route_wish */
  uint8_t place;       /* enum route_place */
  uint8_t reason;      /* enum route_reason */
  int32_t effect_arg;
  uint32_t batch;      /* a group of so many commands: flags are theirs, joined; 0 = one command */
  int64_t block_ms;    /* ROUTE_BLOCKING: the server's own limit; ROUTE_BLOCK_FOREVER for 0 */
  const char *command; /* canonical name, static, "CLIENT REPLY"; "?" when unknown */
  const char *hint;    /* ROUTE_SESSION and ROUTE_FORBIDDEN: the way out; static */
};

#endif
