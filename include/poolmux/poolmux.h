/* SPDX-License-Identifier: BSD-3-Clause */
/* poolmux.h - the whole public API of libpoolmux, in reading order. Manual: poolmux(7).
 *
 * What holds for the whole header
 * - Time. Milliseconds. A timeout: PMX_DEFAULT = the client's option, PMX_FOREVER = no limit, <= 0 =
 *   no waiting: pmx_acquire takes what is idle, a command ends NOT_RUN/TIMEOUT, pmx_future_wait and
 *   pmx_dispatch only look (with PMX_DEFAULT, too). A deadline is absolute on pmx_now_ms();
 *   PMX_FOREVER and PMX_DEFAULT = none. The earlier of the two wins.
 * - Threads. A type's comment says who may use it; where nothing is said, one thread at a time.
 * - Replies. Functions that return pmx_reply * never return NULL: a failure is a reply that says so.
 *   Immutable, refcounted, any thread; keeping a child keeps its tree; accessors take NULL.
 * - Callbacks run on the client's own thread, with io=loop inside pmx_dispatch and, if any are left
 *   then, the last pmx_unref; one at a time, with no lock held, never inside another call. They may
 *   call every function of this header. (The credentials function may not call its own client; it
 *   may be asked while another callback waits in a call, with io=loop inside any call that waits.) */
#ifndef POOLMUX_H
#define POOLMUX_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__GNUC__)
#define PMX_API __attribute__((visibility("default")))
#define PMX_MUST_USE __attribute__((warn_unused_result))
#define PMX_SENTINEL __attribute__((sentinel))
#else
#define PMX_API
#define PMX_MUST_USE
#define PMX_SENTINEL
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct pmx_client pmx_client;   /* refcounted; any thread */
typedef struct pmx_options pmx_options; /* one thread; copied by pmx_open */
typedef struct pmx_reply pmx_reply;     /* refcounted, immutable; any thread */
typedef struct pmx_cancel pmx_cancel;   /* refcounted; any thread */
typedef struct pmx_lease pmx_lease;     /* one thread at a time */
typedef struct pmx_future pmx_future;   /* one thread at a time */
typedef struct pmx_script pmx_script;   /* refcounted; any thread, any client */
typedef struct pmx_scan pmx_scan;       /* one thread at a time */
typedef struct pmx_batch pmx_batch;     /* one thread at a time */
typedef struct pmx_sub pmx_sub;         /* any thread */

/* ---- outcome: status = what may be concluded, cause = why ---- */
typedef enum pmx_status {
  PMX_OK = 0,
  PMX_SERVER_ERROR = 1, /* the server answered with an error */
  PMX_NOT_RUN = 2,      /* did not run: sending it again is safe */
  PMX_UNKNOWN = 3,      /* may or may not have run */
  PMX_INVALID = 4,      /* bad argument, or not possible with this strategy; nothing was sent */
  PMX_NOMEM = 5         /* out of memory; nothing was sent */
} pmx_status;
typedef enum pmx_cause {
  PMX_CAUSE_NONE = 0,
  PMX_CAUSE_TIMEOUT = 1,        /* the deadline passed */
  PMX_CAUSE_CANCELED = 2,       /* a pmx_cancel token was fired */
  PMX_CAUSE_CONNECT = 3,        /* no connection could be made */
  PMX_CAUSE_DNS = 4,            /* the name could not be looked up */
  PMX_CAUSE_TLS = 5,            /* the TLS handshake failed; INVALID: the files of tls.* are wrong */
  PMX_CAUSE_AUTH = 6,           /* the server refused the login or the database */
  PMX_CAUSE_LOST = 7,           /* the connection was lost */
  PMX_CAUSE_CLOSED = 8,         /* the client is closed */
  PMX_CAUSE_PROTOCOL = 9,       /* the peer broke the protocol */
  PMX_CAUSE_QUEUE_FULL = 10,    /* too many calls wait already */
  PMX_CAUSE_POOL_EXHAUSTED = 11, /* no connection became free in pool.wait_timeout */
  PMX_CAUSE_CIRCUIT_OPEN = 12,  /* the server is known to be down, and offline=fail */
  PMX_CAUSE_UNSUPPORTED = 13,   /* cannot be done this way; the text names the way out */
  PMX_CAUSE_FORKED = 14,        /* made before fork(), used after it in the child */
  PMX_CAUSE_TOO_LARGE = 15,     /* over request.max_size, reply.max_size or another limit */
  PMX_CAUSE_NOMEM = 16,         /* memory ran out after sending, or while connecting */
  PMX_CAUSE_CONFLICT = 17,      /* a watched key was changed: the transaction did not run */
  PMX_CAUSE_ABORTED = 18        /* a command of a transaction was refused, so nothing of it ran */
} pmx_cause;
PMX_API const char *pmx_status_str(pmx_status); /* "NOT_RUN"; static */
PMX_API const char *pmx_cause_str(pmx_cause);   /* "TIMEOUT"; static */
PMX_API const char *pmx_version(void);          /* "0.1.0"; static */
PMX_API const char *pmx_build_info(void);       /* "hiredis 0.14.1, RESP2, park=futex"; static */

/* ---- time and cancellation ---- */
#define PMX_DEFAULT INT64_MIN
#define PMX_FOREVER INT64_MAX
PMX_API int64_t pmx_now_ms(void);           /* monotonic clock */
PMX_API pmx_cancel *pmx_cancel_new(void);   /* NULL when out of memory; free with pmx_cancel_free */
PMX_API void pmx_cancel_fire(pmx_cancel *); /* ends current and later calls that carry it */
PMX_API void pmx_cancel_free(pmx_cancel *); /* drops the caller's reference; NULL is ignored */

/* ---- options: one table; the same names in code, in the URL query and in the manual ---- */
typedef enum pmx_strategy {
  PMX_STRATEGY_HYBRID = 0,
  PMX_STRATEGY_POOL = 1,
  PMX_STRATEGY_MUX = 2
} pmx_strategy;
PMX_API pmx_options *pmx_options_new(void);   /* NULL when out of memory; free: pmx_options_free */
PMX_API void pmx_options_free(pmx_options *); /* NULL is ignored */
PMX_API pmx_status pmx_options_set(pmx_options *, const char *name,
                                   const char *value); /* "pool.max_size", "32" */
PMX_API const char *pmx_options_get(const pmx_options *,
                                    const char *name); /* its text; NULL: no such option or secret */
PMX_API const char *pmx_options_error(const pmx_options *); /* first bad setting, or "" */
/* Fills user and password, NUL-terminated; 0 = done, else the connect fails. At every connect. */
typedef int (*pmx_credentials_fn)(void *ud, char *user, size_t user_size, char *password,
                                  size_t password_size);
PMX_API void pmx_options_set_credentials(pmx_options *, pmx_credentials_fn, void *ud);
/* Fills the passphrase of tls.key_file, NUL-terminated; 0 = done. Inside pmx_open, pmx_reload_tls. */
typedef int (*pmx_passphrase_fn)(void *ud, char *passphrase, size_t size);
PMX_API void pmx_options_set_passphrase(pmx_options *, pmx_passphrase_fn, void *ud);
typedef enum pmx_log_level {
  PMX_LOG_ERROR = 0,
  PMX_LOG_WARN = 1,
  PMX_LOG_INFO = 2,
  PMX_LOG_DEBUG = 3
} pmx_log_level;
typedef void (*pmx_log_fn)(void *ud, pmx_log_level, const char *component, const char *message);
PMX_API void pmx_options_set_log(pmx_options *, pmx_log_fn, pmx_log_level max, void *ud);
typedef enum pmx_event_type {
  PMX_EVENT_CONNECTED = 0,    /* a connection is ready */
  PMX_EVENT_LOST = 1,         /* a connection broke; cause and detail say why; it has ended */
  PMX_EVENT_RECONNECTING = 2, /* a connect failed and will be tried again */
  PMX_EVENT_POOL_WAIT = 3,    /* callers have begun to wait for a connection */
  PMX_EVENT_LEAK = 4,         /* a lease is out for longer than pool.leak_warn */
  PMX_EVENT_PUSH = 5,         /* the server sent a push nobody asked for; detail = its kind */
  PMX_EVENT_ORPHAN = 6,       /* a blocking command took something for a future that was freed */
  PMX_EVENT_CLOSED = 7,       /* a connection was closed in due course; detail says why */
  PMX_EVENT_DROPPED = 8       /* events could not be delivered; detail says how many */
} pmx_event_type;
typedef struct pmx_event {
  size_t size;
  pmx_event_type type;
  pmx_cause cause;
  uint64_t conn_id;             /* the client's own number of the connection, 0 = none */
  const char *endpoint, *detail; /* valid during the callback */
  const pmx_reply *reply;        /* ORPHAN: what it took; borrowed */
} pmx_event;
typedef void (*pmx_event_fn)(void *ud, const pmx_event *);
PMX_API void pmx_options_set_events(pmx_options *, pmx_event_fn, void *ud);
/* Around every call. The strings are static or the client's; place and reason, and which time is
 * counted as what: see poolmux-trace(7). */
typedef struct pmx_trace_call {
  size_t size;
  const char *command, *endpoint, *place, *reason; /* "BLPOP", …, "dedicated", "blocks" */
  /* for `end`, of all tries; 0 in `begin`. Compare size with a library older than these. */
  int64_t total_ns;  /* from the beginning of the call to this */
  int64_t queued_ns; /* until its bytes were given to the kernel */
  int64_t wire_ns;   /* from then until its answer was decoded */
  uint64_t conn_id;  /* the connection of its last try, as in events; 0: none was sent */
  uint32_t attempts;
} pmx_trace_call;
typedef struct pmx_trace {
  size_t size;
  void *(*begin)(void *ud, const pmx_trace_call *); /* on the caller's thread; its own span */
  void (*end)(void *ud, void *span, const pmx_trace_call *, const pmx_reply *); /* once for each */
} pmx_trace;
PMX_API void pmx_options_set_trace(pmx_options *, const pmx_trace *, void *ud); /* copied */

/* ---- client ---- */
/* Connects and checks once (connect=lazy: not). Either of url and options may be NULL; the URL wins
 * over options. *err, when err is not NULL, is always written: NULL, or why there is no client. */
PMX_API pmx_client *pmx_open(const char *url, const pmx_options *, pmx_reply **err) PMX_MUST_USE;
PMX_API pmx_client *pmx_ref(pmx_client *); /* one more owner; returns its argument */
PMX_API void pmx_unref(pmx_client *);      /* one owner less; the last one closes */
/* For everybody; idempotent. Calls without a connection end at once. 1 = the others, and leases,
 * ended by themselves in timeout_ms, 0 = the rest was made to fail. Inside a callback it does not
 * wait. Other threads may still be on their way out of a call: each keeps its reference, or is
 * joined before the last pmx_unref. */
PMX_API int pmx_close(pmx_client *, int64_t timeout_ms);
PMX_API pmx_strategy pmx_client_strategy(const pmx_client *);
PMX_API pmx_status pmx_client_set(pmx_client *, const char *name,
                                  const char *value); /* options marked live */
/* Reads the files of tls.* again and asks for the passphrase. New connections are made with them, and
 * those there are go within tls.retire, at random times. "OK"; or why not: then all stays as it is.
 * Only the files are checked, not whether the server accepts them or is accepted with them.
 * Reads files: not for a callback. */
PMX_API pmx_reply *pmx_reload_tls(pmx_client *) PMX_MUST_USE;

/* ---- commands ---- */
enum {
  PMX_CALL_RETRY_SAFE = 1, /* may be sent again even when it may have run */
  PMX_CALL_NO_RETRY = 2,   /* never sent again, whatever the outcome */
  PMX_CALL_DEDICATED = 4,  /* on a connection of its own */
  PMX_CALL_SHARED = 8      /* on a lane; refused for what would stall it */
};
typedef struct pmx_call {
  size_t size;
  uint64_t flags; /* PMX_CALL_*; unknown or contradictory bits: INVALID */
  int64_t timeout_ms;
  int64_t deadline_ms;
  pmx_cancel *cancel; /* borrowed for the time of the call; or NULL */
} pmx_call;
#define PMX_CALL_INIT { sizeof(pmx_call), 0, PMX_DEFAULT, PMX_FOREVER, NULL }
/* A pmx_call of NULL means PMX_CALL_INIT. Replies are the caller's: pmx_reply_free. */
PMX_API pmx_reply *pmx_argv(pmx_client *, const pmx_call *, int argc, const char *const *argv,
                            const size_t *len) PMX_MUST_USE; /* len NULL: C strings */
PMX_API pmx_reply *pmx_do(pmx_client *, const pmx_call *, const char *arg0,
                          ...) PMX_MUST_USE PMX_SENTINEL; /* C strings, then NULL */
PMX_API pmx_reply *pmx_command(pmx_client *, const char *format, ...) PMX_MUST_USE; /* printf-like */
PMX_API pmx_reply *pmx_command_call(pmx_client *, const pmx_call *, const char *format,
                                    ...) PMX_MUST_USE;
PMX_API pmx_reply *pmx_vcommand(pmx_client *, const pmx_call *, const char *format,
                                va_list) PMX_MUST_USE;

/* Where a command would go and why, in one sentence: "dedicated: BLPOP blocks for up to 5.0 s", or
 * "refused: …". Sends nothing. Writes at most size bytes with the NUL; returns what snprintf would. */
PMX_API size_t pmx_explain(pmx_client *, int argc, const char *const *argv, const size_t *len,
                           char *buf, size_t size); /* len NULL: C strings */

/* ---- asynchronous: never waits ----
 * PMX_OK: fn runs exactly once, also at close. Anything else: it never will, `ud` is still yours:
 * INVALID (a line in the log says why), NOT_RUN (the lane or the pool's queue is full, the client
 * closed), NOMEM. The reply is borrowed: pmx_reply_ref to keep it. */
typedef void (*pmx_reply_fn)(void *ud, const pmx_reply *);
PMX_API pmx_status pmx_async(pmx_client *, const pmx_call *, pmx_reply_fn fn, void *ud,
                             const char *format, ...);
PMX_API pmx_status pmx_async_argv(pmx_client *, const pmx_call *, pmx_reply_fn fn, void *ud,
                                  int argc, const char *const *argv, const size_t *len);
/* A future keeps its client open. NULL: out of memory, and pmx_future_take says so. */
PMX_API pmx_future *pmx_submit(pmx_client *, const pmx_call *, const char *format,
                               ...) PMX_MUST_USE;
PMX_API pmx_future *pmx_submit_argv(pmx_client *, const pmx_call *, int argc,
                                    const char *const *argv, const size_t *len) PMX_MUST_USE;
PMX_API int pmx_future_wait(pmx_future *, int64_t timeout_ms); /* 1 ready, 0 not yet */
/* The index of one that is ready, or -1. Of several clients with io=loop it runs only one. */
PMX_API int pmx_future_wait_any(pmx_future *const *, size_t n, int64_t timeout_ms);
PMX_API pmx_reply *pmx_future_take(pmx_future *) PMX_MUST_USE; /* waits; frees the future */
PMX_API void pmx_future_free(pmx_future *); /* its reply will reach nobody; NULL is ignored */
/* io=loop: one descriptor for any event loop, the client's; when it is readable, call pmx_dispatch.
 * -1: io=thread. Another one in the child of a fork. */
PMX_API int pmx_client_fd(pmx_client *);
/* Does what is ready, waits for it at most timeout_ms, runs callbacks: how many; -1: io=thread. */
PMX_API int pmx_dispatch(pmx_client *, int64_t timeout_ms);

/* ---- leases: "open" a connection, use it alone, "close" it back into the pool ---- */
PMX_API pmx_lease *pmx_acquire(pmx_client *, const pmx_call *, pmx_reply **err) PMX_MUST_USE;
PMX_API pmx_reply *pmx_lease_argv(pmx_lease *, const pmx_call *, int argc, const char *const *argv,
                                  const size_t *len) PMX_MUST_USE;
PMX_API pmx_reply *pmx_lease_command(pmx_lease *, const pmx_call *, const char *format,
                                     ...) PMX_MUST_USE;
/* Restores the baseline state, or closes the connection. INVALID: it was returned before, was taken
 * back (pool.leak_reclaim), or a call on it is still running. */
PMX_API pmx_status pmx_release(pmx_lease *);

/* ---- scripts and scans ---- */
/* Copies the text. NULL: out of memory, and pmx_script_run says so. */
PMX_API pmx_script *pmx_script_new(const char *lua, size_t len);
/* EVALSHA; EVAL, in the same call, when the server does not know the script. argv: keys, then
 * arguments, argc in all; len NULL: C strings. */
PMX_API pmx_reply *pmx_script_run(pmx_client *, const pmx_call *, pmx_script *, int nkeys, int argc,
                                  const char *const *argv, const size_t *len) PMX_MUST_USE;
PMX_API void pmx_script_free(pmx_script *); /* runs under way go on; NULL is ignored */
/* SCAN (also with command NULL; key NULL), or HSCAN, SSCAN, ZSCAN of a key. match NULL: everything;
 * count 0: the server's own. Copies all; keeps its client open. NULL: out of memory, and
 * pmx_scan_next says so. */
PMX_API pmx_scan *pmx_scan_new(pmx_client *, const char *command, const char *key, size_t key_len,
                               const char *match, size_t match_len, int count);
/* The next element, an array of two with HSCAN and ZSCAN; borrowed until the next call with this
 * scan. NULL: the end, or a failure. *err, when err is not NULL, is always written: NULL, or the
 * failure, after which the scan may go on. */
PMX_API const pmx_reply *pmx_scan_next(pmx_scan *, const pmx_call *, pmx_reply **err);
PMX_API void pmx_scan_free(pmx_scan *); /* NULL is ignored */
/* ---- batches and transactions: several commands as one call, with one deadline ---- */
/* A batch keeps its client open, and is not changed by being executed. NULL: out of memory. */
PMX_API pmx_batch *pmx_batch_new(pmx_client *);
/* Not PMX_OK: nothing was added, and executing the batch will only say why. */
PMX_API pmx_status pmx_batch_add(pmx_batch *, const char *format, ...);
PMX_API pmx_status pmx_batch_add_argv(pmx_batch *, int argc, const char *const *argv,
                                      const size_t *len);
/* All at once, in order, not as a transaction: an array with a reply or a failure for each command,
 * see pmx_reply_failed; or one failure: nothing was sent. */
PMX_API pmx_reply *pmx_batch_exec(pmx_batch *, const pmx_call *) PMX_MUST_USE;
/* MULTI, the commands, EXEC: EXEC's array, or a failure of the whole. */
PMX_API pmx_reply *pmx_batch_exec_atomic(pmx_batch *, const pmx_call *) PMX_MUST_USE;
PMX_API void pmx_batch_free(pmx_batch *); /* NULL is ignored */
/* Reads through the lease, adds its writes to the batch; both stay the library's. 0: commit;
 * anything else: give up. Runs again when somebody else changed a key, on the caller's thread. */
typedef int (*pmx_tx_fn)(void *ud, pmx_lease *, pmx_batch *);
/* WATCH keys, fn, MULTI … EXEC; max_tries: while keys are changed meanwhile, 0 = 16. EXEC's array, or
 * a failure: NOT_RUN/CONFLICT after the last try, NOT_RUN/CANCELED when fn gave up. */
PMX_API pmx_reply *pmx_transaction(pmx_client *, const pmx_call *, int nkeys,
                                   const char *const *keys, const size_t *lens, int max_tries,
                                   pmx_tx_fn fn, void *ud) PMX_MUST_USE;

/* ---- publish/subscribe: on a connection of its own, one for all of a client's ----
 * It is connected again as long as anything is subscribed to, and everything is restored. A GAP says
 * that messages may be missing in its place: once for each lost connection, when all is restored,
 * and where the queue of a slow consumer was full (sub.max_messages, sub.max_queued). */
typedef enum pmx_sub_kind {
  PMX_SUB_CHANNEL = 0,
  PMX_SUB_PATTERN = 1,
  PMX_SUB_SHARD = 2
} pmx_sub_kind;
typedef enum pmx_message_type {
  PMX_MESSAGE_DATA = 0,
  PMX_MESSAGE_GAP = 1 /* the members below are not set */
} pmx_message_type;
typedef struct pmx_message {
  size_t size;
  pmx_message_type type;
  pmx_sub_kind kind;                   /* of the subscription it came by */
  const char *channel, *pattern, *data; /* NUL-terminated as well; pattern NULL unless kind is */
  size_t channel_len, pattern_len, data_len;
} pmx_message;
#define PMX_MESSAGE_INIT \
  { sizeof(pmx_message), PMX_MESSAGE_DATA, PMX_SUB_CHANNEL, NULL, NULL, NULL, 0, 0, 0 }
typedef void (*pmx_message_fn)(void *ud, const pmx_message *); /* valid during the callback */
/* A consumer, which keeps its client open. fn NULL: pmx_sub_next. NULL: out of memory. */
PMX_API pmx_sub *pmx_sub_new(pmx_client *, pmx_message_fn fn, void *ud);
/* OK: the server has confirmed it, for this consumer. Else: what was subscribed before still is. */
PMX_API pmx_reply *pmx_sub_add(pmx_sub *, const pmx_call *, pmx_sub_kind, const char *name,
                               size_t len) PMX_MUST_USE;
/* UNKNOWN: removed, but the server has not confirmed it. What was queued before still comes. */
PMX_API pmx_reply *pmx_sub_remove(pmx_sub *, const pmx_call *, pmx_sub_kind, const char *name,
                                  size_t len) PMX_MUST_USE;
/* The next message, a PMX_TYPE_PUSH; <= 0: only looks. NOT_RUN: none came. */
PMX_API pmx_reply *pmx_sub_next(pmx_sub *, const pmx_call *) PMX_MUST_USE;
PMX_API int pmx_message_get(const pmx_reply *, pmx_message *); /* 1: what pmx_sub_next returned is
                                                                  one, described; valid as long */
/* No callback runs after it returned, but the one it was called in. NULL is ignored. */
PMX_API void pmx_sub_free(pmx_sub *);

/* ---- replies ---- */
typedef enum pmx_type {
  PMX_TYPE_FAILURE = 0, /* made by this library: see status and cause */
  PMX_TYPE_NIL = 1,
  PMX_TYPE_STRING = 2,
  PMX_TYPE_SIMPLE = 3, /* "+OK" */
  PMX_TYPE_ERROR = 4,
  PMX_TYPE_INTEGER = 5,
  PMX_TYPE_DOUBLE = 6,
  PMX_TYPE_BOOL = 7,
  PMX_TYPE_BIGNUM = 8,
  PMX_TYPE_VERBATIM = 9,
  PMX_TYPE_ARRAY = 10,
  PMX_TYPE_MAP = 11, /* key, value, key, value … */
  PMX_TYPE_SET = 12,
  PMX_TYPE_PUSH = 13
} pmx_type;
PMX_API int pmx_ok(const pmx_reply *); /* 1: status is PMX_OK; elements: see pmx_reply_failed */
PMX_API pmx_status pmx_reply_status(const pmx_reply *);      /* of NULL: PMX_INVALID */
PMX_API pmx_cause pmx_reply_cause(const pmx_reply *);
PMX_API const char *pmx_reply_error(const pmx_reply *);      /* text for people; "" when ok */
PMX_API const char *pmx_reply_error_code(const pmx_reply *); /* "WRONGTYPE"; "" when none */
PMX_API int pmx_reply_safe_to_retry(const pmx_reply *); /* 1: sending again cannot run it twice */
PMX_API const pmx_reply *pmx_reply_failed(const pmx_reply *); /* itself, first failed element, NULL */
PMX_API pmx_type pmx_reply_type(const pmx_reply *);
PMX_API const char *pmx_reply_str(const pmx_reply *,
                                  size_t *len); /* NUL-terminated as well; NULL: no string */
PMX_API int64_t pmx_reply_int(const pmx_reply *, int *ok);   /* also of a numeric string */
PMX_API double pmx_reply_double(const pmx_reply *, int *ok); /* also of a numeric string */
PMX_API size_t pmx_reply_len(const pmx_reply *);             /* elements; a map counts both sides */
PMX_API const pmx_reply *pmx_reply_at(const pmx_reply *, size_t i); /* borrowed; NULL: none */
PMX_API const pmx_reply *pmx_reply_get(const pmx_reply *, const char *key,
                                       size_t len); /* map, or flat RESP2 array; borrowed */
PMX_API pmx_reply *pmx_reply_ref(const pmx_reply *); /* one more owner, of the whole tree */
PMX_API void pmx_reply_free(pmx_reply *);            /* one owner less; NULL is ignored */
PMX_API pmx_status pmx_reply_finish(pmx_reply *);    /* its status, and frees it */

/* ---- statistics ---- */
typedef struct pmx_stats {
  size_t size;
  /* calls since pmx_open, each counted once when it ends; retries: what was sent again */
  uint64_t commands, replies, server_errors, not_run, unknown, invalid, retries;
  /* connections since pmx_open, or since fork() in a child: opened = closed + live; live … waiting:
   * now */
  uint64_t opened, closed, dial_failures, live, idle, in_use, connecting, waiting;
  /* borrowing: borrows = returns + discards + in_use */
  uint64_t borrows, returns, discards, waits, wait_timeouts, queue_full, handoffs;
  /* why connections were closed, and what was done to keep them */
  uint64_t closed_idle, closed_lifetime, closed_stale, closed_dirty, closed_error, repairs, pings;
  uint64_t leaks, reclaimed, bad_returns, breaker_opens, pushes;
  /* lanes: in_flight and abandoned now; the rest since pmx_open. writes and reads: system calls */
  uint64_t in_flight, abandoned, late_replies, writes, reads, handovers, stalls;
  /* of opened, closed, dial_failures and live above, those of lanes; requests that lanes were given */
  uint64_t lanes_opened, lanes_closed, lanes_dial_failures, lanes_live, lane_requests;
  /* hybrid: calls that left the lanes, by reason */
  uint64_t routed_asked, routed_blocking, routed_parking, routed_large, routed_batch;
  uint64_t routed_control, routed_unknown, routed_learned;
  /* blocked commands given up: CLIENT UNBLOCK asked for, answered all the same, what they took has
   * reached nobody; connections that carry the former, which are in no other number */
  uint64_t unblocks, late_wins, orphans, control_opened, control_live;
  /* publish/subscribe, whose connection is counted nowhere else. subscriptions: confirmed, now;
   * messages and messages_dropped: for each consumer; resubscribes: restored */
  uint64_t subscriptions, messages, messages_dropped, gaps, resubscribes;
  /* more reasons. closed = closed_idle + … + closed_error + reclaimed + these two; retries and
   * dial_failures are the sums of theirs */
  uint64_t closed_surplus, closed_shutdown;
  uint64_t retries_lost, retries_connect, retries_refused, retries_conflict;
  uint64_t dials_dns, dials_tcp, dials_tls, dials_auth, dials_protocol, dials_timeout, dials_local;
  /* how waiting ended: waits + requeues = handoffs + wait_timeouts + wait_canceled + wait_failed +
   * waiting - queued; requeues: the connection that was lent was found closed, and another one found */
  uint64_t wait_canceled, wait_failed, requeues;
  /* what pools and lanes were given to do, each try of a call, and the PINGs of lanes:
   * requests = requests_ended + waiting + running + in_flight - abandoned; running: on a connection
   * of a pool now */
  uint64_t requests, requests_ended, running;
  /* now: live = idle + in_use + checking + repairing + settling + closing + lanes_live */
  uint64_t checking, repairing, settling, closing;
  uint64_t breaker_open;                          /* circuits that are open */
  uint64_t oldest_wait_ns, oldest_in_flight_ns;   /* since it was queued; the longest of all */
  uint64_t pool_max_size, pool_max_idle, pool_min_idle; /* the options, as they are now */
  /* lanes: how many there are; queued now; bytes without TLS; connections made again */
  uint64_t lanes, queued, lane_given_up, bytes_in, bytes_out, reconnects;
  /* the control and the subscription connection, which are in no other number */
  uint64_t control_closed, control_dial_failures;
  uint64_t sub_opened, sub_closed, sub_live, sub_dial_failures;
} pmx_stats;
#define PMX_STATS_INIT \
  { sizeof(pmx_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
    0 }
PMX_API void pmx_stats_get(const pmx_client *, pmx_stats *); /* one picture of each pool and lane */
/* Of one lane alone: 1; or 0, and all is 0: there is no such lane. Lanes are numbered from 0. */
PMX_API int pmx_stats_lane(const pmx_client *, unsigned lane, pmx_stats *);

/* How often something took how long, since pmx_open (create, wait, queue, use: or fork). */
typedef enum pmx_histogram_kind {
  PMX_HISTOGRAM_WAIT = 0,   /* from asking a pool for a connection to having it; 0: it was idle */
  PMX_HISTOGRAM_QUEUE = 1,  /* on a lane, from being queued to being written */
  PMX_HISTOGRAM_CREATE = 2, /* making a connection: name lookup, TCP, TLS, login */
  PMX_HISTOGRAM_USE = 3,    /* a connection was lent */
  PMX_HISTOGRAM_CALL = 4    /* a call, from its start to its outcome; all but INVALID */
} pmx_histogram_kind;
#define PMX_HISTOGRAM_BUCKETS 225
typedef struct pmx_histogram {
  size_t size;
  uint64_t count, sum_ns, max_ns;
  uint64_t buckets[PMX_HISTOGRAM_BUCKETS]; /* how many took longer than the one before, and at most
                                              pmx_histogram_bound */
} pmx_histogram;
#define PMX_HISTOGRAM_INIT { sizeof(pmx_histogram), 0, 0, 0, { 0 } }
/* 1; or 0, and it is empty: no such kind. Sums all pools and lanes up. */
PMX_API int pmx_stats_histogram(const pmx_client *, pmx_histogram_kind, pmx_histogram *);
PMX_API uint64_t pmx_histogram_bound(unsigned i); /* ns; UINT64_MAX: no bound */
/* ns; 0: it is empty. 50.0 is the median. At most an eighth and 1 us more than the truth, not less. */
PMX_API uint64_t pmx_histogram_percentile(const pmx_histogram *, double percent);
/* Everything, each pool and lane by itself. format: "text", "json" or "prometheus". Returns what
 * snprintf would; when that is not less than size, buf is "", never a part. 0, and "": the client or
 * the format is NULL, or there is no such format, or no memory. */
PMX_API size_t pmx_stats_text(const pmx_client *, const char *format, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
