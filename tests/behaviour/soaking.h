/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking.h - the soak test's world: threads that call every public function at random, on clients
 * that are opened, closed and replaced under their hands. Sees the public header only.
 *
 * Who owns what: a slot owns one reference to its client, whoever uses it takes another one. A
 * shelf owns what lies on it; to use it is to take it off, so leases and futures change hands. What
 * callbacks see (struct opened, tickets) lives until the end of the epoch. */
#ifndef BEHAVIOUR_SOAKING_H
#define BEHAVIOUR_SOAKING_H
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "harness/proxy.h"
#include "harness/server.h"
#include "harness/util.h"

/* ---- every public function; scripts/check-api compares this with the header ---- */
/* clang-format off */
#define SOAK_FUNCTIONS(X) \
  X(pmx_status_str) X(pmx_cause_str) X(pmx_version) X(pmx_build_info) X(pmx_now_ms) \
  X(pmx_cancel_new) X(pmx_cancel_fire) X(pmx_cancel_free) \
  X(pmx_options_new) X(pmx_options_free) X(pmx_options_set) X(pmx_options_get) \
  X(pmx_options_error) X(pmx_options_set_credentials) X(pmx_options_set_passphrase) \
  X(pmx_options_set_log) \
  X(pmx_options_set_events) X(pmx_options_set_trace) \
  X(pmx_open) X(pmx_ref) X(pmx_unref) X(pmx_close) X(pmx_client_strategy) X(pmx_client_set) \
  X(pmx_reload_tls) \
  X(pmx_argv) X(pmx_do) X(pmx_command) X(pmx_command_call) X(pmx_vcommand) \
  X(pmx_explain) X(pmx_async) X(pmx_async_argv) X(pmx_submit) X(pmx_submit_argv) X(pmx_future_wait) \
  X(pmx_future_wait_any) X(pmx_future_take) X(pmx_future_free) X(pmx_client_fd) X(pmx_dispatch) \
  X(pmx_acquire) X(pmx_lease_argv) X(pmx_lease_command) X(pmx_release) \
  X(pmx_script_new) X(pmx_script_run) X(pmx_script_free) \
  X(pmx_scan_new) X(pmx_scan_next) X(pmx_scan_free) \
  X(pmx_batch_new) X(pmx_batch_add) X(pmx_batch_add_argv) X(pmx_batch_exec) \
  X(pmx_batch_exec_atomic) X(pmx_batch_free) X(pmx_transaction) \
  X(pmx_sub_new) X(pmx_sub_add) X(pmx_sub_remove) X(pmx_sub_next) X(pmx_message_get) \
  X(pmx_sub_free) \
  X(pmx_ok) X(pmx_reply_status) X(pmx_reply_cause) X(pmx_reply_error) X(pmx_reply_error_code) \
  X(pmx_reply_safe_to_retry) X(pmx_reply_failed) X(pmx_reply_type) X(pmx_reply_str) \
  X(pmx_reply_int) X(pmx_reply_double) X(pmx_reply_len) X(pmx_reply_at) X(pmx_reply_get) \
  X(pmx_reply_ref) X(pmx_reply_free) X(pmx_reply_finish) X(pmx_stats_get) \
  X(pmx_stats_lane) X(pmx_stats_histogram) X(pmx_histogram_percentile) X(pmx_histogram_bound) \
  X(pmx_stats_text)
#define SOAK_MEMBER(name) SOAK_##name,
/* clang-format on */
enum soak_function { SOAK_FUNCTIONS(SOAK_MEMBER) SOAK_FUNCTION_COUNT };
extern _Atomic uint64_t soak_called[SOAK_FUNCTION_COUNT];
extern _Atomic uint64_t soak_orphans; /* that event functions were told of */
/* CALL(pmx_do)(client, …): calls and counts. Relaxed: it must not order what races. */
#define CALL(fn) (atomic_fetch_add_explicit(&soak_called[SOAK_##fn], 1, memory_order_relaxed), (fn))
const char *soak_never_called(void); /* the first function that was not; NULL: all were */

enum {
  SOAK_THREADS = 8,
  SOAK_SLOTS = 4,
  SOAK_SHELF = 12,
  SOAK_TOKENS = 6,
  SOAK_KEYS = 8,
  SOAK_DEFAULT_MS = 300, /* no client's command_timeout is longer */
  SOAK_SLACK_MS = 8000,  /* a call that ends later than this after its time hangs */
  SOAK_HANG_MS = 40000
};

struct soaking;
struct opened;

/* ---- who does what since when: for the watchdog ---- */
struct mark {
  _Atomic(const char *) doing; /* static; NULL: nothing */
  _Atomic int64_t since_ms;
};
void mark_begin(struct mark *, const char *doing);
int64_t mark_end(struct mark *); /* how long it took, ms */

/* ---- orders: one command, what its reply must be, and until when ---- */
enum expected {
  EXPECT_TEXT,
  EXPECT_OK,
  EXPECT_OWN,
  EXPECT_OWNS,
  EXPECT_INT,
  EXPECT_DOUBLE,
  EXPECT_HASH,
  EXPECT_WRONGTYPE,
  EXPECT_POP
};
struct expect {
  enum expected kind;
  char text[64], other[64];
  size_t pad;  /* so many 'x' follow text */
  bool placed; /* the call says where it wants to go */
  double number;
};
enum { ORDER_TEXT = 6000 };
struct order {
  int argc;
  const char *argv[4];
  size_t len[4], used; /* of text */
  char text[ORDER_TEXT + 64];
  struct expect expect;
  pmx_call call;
  struct token *token;
  int64_t limit_ms; /* the call ends in this time */
};

struct caller {
  struct soaking *s;
  int index;
  struct rng rng;
  uint64_t texts;
  struct mark mark;
  struct ticket *tickets; /* of its asynchronous calls */
  int64_t latest_ms;      /* end of a synchronous call after its time */
  uint64_t calls, answered;
};
void order_make(struct caller *, struct order *);
void order_done(struct order *); /* gives back its token */
/* Notes what is wrong with it. True: it was answered. */
bool reply_judge(struct soaking *, const char *what, const pmx_reply *, const struct expect *);

/* ---- tokens that threads share ---- */
struct token {
  pthread_mutex_t lock;
  pmx_cancel *cancel;
  int users;
  bool fired;
};

/* ---- clients ---- */
struct opened {
  struct soaking *s;
  _Atomic(pmx_client *) client; /* NULL until pmx_open has returned */
  bool tls;
  _Atomic int inside, asked;    /* callbacks now: at most one; credentials functions */
  _Atomic int64_t spans;        /* of the trace that have begun and not ended */
  _Atomic uint64_t salt;
  struct mark mark;                 /* of callbacks */
  _Atomic(struct ticket *) tickets; /* of calls that callbacks have begun */
  struct opened *next;
};
struct slot {
  pthread_mutex_t lock;
  struct opened *opened;
};
struct opened *client_open(struct caller *); /* NULL: it failed, as it may */
/* A reference, to be dropped with client_drop; NULL: the slot is empty. */
struct opened *client_take(struct caller *);
void client_drop(struct opened *);
void client_put(struct slot *, struct opened *, struct opened **old); /* NULL: empties it */
void client_set_some(struct rng *, pmx_client *);
void options_fill(struct rng *, pmx_options *);
void options_fill_tls(struct rng *, pmx_options *);

/* ---- asynchronous calls: each told exactly once ---- */
struct ticket {
  struct opened *at;
  struct expect expect;
  _Atomic int told;
  bool accepted, holds; /* holds: a reference that the callback drops */
  uint64_t salt;
  struct ticket *next;
};
struct ticket *ticket_new(struct opened *, struct order *);
void ticket_told(void *ticket, const pmx_reply *);             /* a pmx_reply_fn */
bool ticket_begin(struct ticket *, struct order *, bool argv); /* true: it will be told */
void tickets_end(struct soaking *, struct ticket *);           /* waits, judges, frees them */
void inside_begin(struct opened *, const char *what);
void inside_end(struct opened *);
void inside_act(struct opened *, uint64_t salt); /* what a callback calls */

/* ---- shelves ---- */
struct item {
  void *thing;
  struct expect expect;
};
struct shelf {
  pthread_mutex_t lock;
  struct item items[SOAK_SHELF];
};
bool shelf_take(struct shelf *, struct rng *, struct item *ret);
bool shelf_put(struct shelf *, const struct item *); /* false: it is full */

struct soaking {
  struct server *server;
  struct proxy *proxy;
  uint64_t seed;             /* of this epoch */
  atomic_bool stop, watched; /* of the threads; of the watchdog */
  struct slot slots[SOAK_SLOTS];
  struct token tokens[SOAK_TOKENS];
  struct shelf futures, leases, replies;
  struct caller callers[SOAK_THREADS + 1]; /* the last one is the test's own thread */
  struct mark trouble;
  pthread_mutex_t lock; /* the next three */
  struct opened *opened;
  unsigned wrong;
  char first[512];
};
void soak_wrong(struct soaking *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void soak_act(struct caller *);                    /* one thing, at random */
void soak_trouble(struct soaking *, struct rng *); /* one fault of server or network */
void soak_future_end(struct caller *, struct item *);
void soak_lease_end(struct caller *, pmx_lease *);
void soak_watch(struct soaking *); /* ends the program when somebody hangs */

#endif
