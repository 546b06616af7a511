/* SPDX-License-Identifier: BSD-3-Clause */
/* behaviour.h - what the behaviour tests share: the ways a client can be made to work, a client of
 * such a way, values that say to which key they belong. Sees the public header only.
 *
 * Functions that return nothing fail the running test when what they claim does not hold. */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H
#include <poolmux/poolmux.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/fake.h"
#include "harness/server.h"

/* ---- ways: every strategy; every strategy over TCP, over a Unix socket and over TLS ---- */
extern const char *const strategies[]; /* a new one is tested by adding it there */
extern const int strategy_count;
struct way {
  const char *strategy;
  enum over over;
};
extern const struct way ways[];
extern int way_count;
/* Before tests are added: over TLS with hybrid alone, which has connections of every kind. For
 * programs whose claims are about time, limits and books, not about bytes and their ends; with
 * POOLMUX_SOAK it changes nothing. */
void ways_brief(void);
/* So many bytes TLS adds to what is sent together; 0 without it. */
int sealing(const struct way *);
/* In the test: strategies[_i], or ways[_i]. */
#define add_for_strategies(tc, test) tcase_add_loop_test((tc), (test), 0, strategy_count)
#define add_for_ways(tc, test) tcase_add_loop_test((tc), (test), 0, way_count)
const char *url_for(const struct way *, const struct server *);
/* What not all strategies have. */
enum trait {
  LEASES = 1, /* lends connections: pmx_acquire, sessions, blocking commands */
  BORROWS =
      2, /* a plain call has a connection to itself: pool.* is about it, and giving up ends it */
  SHARES = 4,    /* plain calls share a connection, which outlives those that are given up */
  REFUSES = 8,   /* has shared connections only, and refuses what they cannot carry */
  DEDICATES = 16 /* SHARES, and PMX_CALL_DEDICATED is the way out of it */
};
bool strategy_has(const char *strategy, enum trait);
/* The same as above, where a claim is one about such strategies only. */
#define add_for_strategies_with(trait, tc, test)                                                   \
  do {                                                                                             \
    for (int i_ = 0; i_ < strategy_count; i_++) {                                                  \
      if (strategy_has(strategies[i_], (trait)))                                                   \
        tcase_add_loop_test((tc), (test), i_, i_ + 1);                                             \
    }                                                                                              \
  } while (0)
#define add_for_ways_with(trait, tc, test)                                                         \
  do {                                                                                             \
    for (int i_ = 0; i_ < way_count; i_++) {                                                       \
      if (strategy_has(ways[i_].strategy, (trait)))                                                \
        tcase_add_loop_test((tc), (test), i_, i_ + 1);                                             \
    }                                                                                              \
  } while (0)

/* The same, where a claim is about bytes that only who has no TLS can see. */
#define add_for_plain_ways_with(trait, tc, test)                                                   \
  do {                                                                                             \
    for (int i_ = 0; i_ < way_count; i_++) {                                                       \
      if (strategy_has(ways[i_].strategy, (trait)) && !over_tls(ways[i_].over))                    \
        tcase_add_loop_test((tc), (test), i_, i_ + 1);                                             \
    }                                                                                              \
  } while (0)

/* A margin over a deadline that only a hang exceeds. */
enum { HANG_MS = 2000, SOON_MS = 10000 };
bool soak(void);        /* POOLMUX_SOAK is set: the long versions */
/* POOLMUX_SOAK=SECONDS in milliseconds, 1 being half an hour; usual_ms when it is not set. */
int64_t soak_ms(int64_t usual_ms);
bool reads_resp3(void); /* the library was built with a hiredis that reads RESP3 */

/* ---- clients ---- */
pmx_options *options_for(const char *strategy);
/* Names and values of options, then NULL. */
pmx_client *open_client(const char *strategy, const char *url, ...) __attribute__((sentinel));
pmx_client *open_client_with(const char *url, pmx_options *); /* frees the options */
/* The two above do it by themselves: with a URL of TLS, the authority of certs_default(), so that
 * the server's certificate is verified. Without TLS nothing. */
void trust_for(pmx_options *, const char *url);
/* Closes and frees it; its calls and leases must have ended, and its books must balance. */
void close_client(pmx_client *);
pmx_stats stats_of(const pmx_client *);
/* 1: what it lends are connections beside the one lane that plain calls share, which pmx_open has
 * made when eager; pool.max_size does not count the lane. So it is also the number of the first
 * connection that can be lent. 0: it has but one kind of connection. */
size_t lane_beside(const pmx_client *);
/* All that has to add up at any time: connections, borrowing, waiting, requests, each reason. */
void check_balance(const pmx_stats *);
/* The same of a client and of each of its lanes; when max > 0, live <= max, not counting the one
 * lane beside a pool. */
void check_books(const pmx_client *, uint64_t max);
bool stat_reaches(const pmx_client *, size_t offset, uint64_t value, int64_t timeout_ms);
/* Waits until a member of the statistics has this value. */
#define check_stat(client, member, value)                                                          \
  ck_assert_msg(stat_reaches((client), offsetof(pmx_stats, member), (value), SOON_MS),             \
                "%s is %llu and never became %llu", #member,                                       \
                (unsigned long long)stats_of(client).member, (unsigned long long)(value))

/* ---- calls ---- */
pmx_call call_in(int64_t timeout_ms);                    /* PMX_CALL_INIT with this timeout */
pmx_call call_flags(uint64_t flags, int64_t timeout_ms); /* and these PMX_CALL_* */
/* With what a call needs, where LEASES, to have a connection to itself. */
uint64_t flags_alone(const pmx_client *);
pmx_call call_alone(const pmx_client *, int64_t timeout_ms);
enum { VALUE_SIZE = 64 };
/* The value of a key in all behaviour tests: text that no other key has. Returns buf. */
const char *value_of(const char *key, char buf[VALUE_SIZE]);
void check_value(pmx_reply *, const char *key); /* is the value of that key; frees it */
void check_is_ok(pmx_reply *);                  /* any answer that is no error; frees it */
void check_int(pmx_reply *, int64_t expected);  /* frees it */
/* Status and cause are these; frees it. */
#define check_fails(reply, status, cause)                                                          \
  check_outcome((reply), (status), (cause), __FILE__, __LINE__)
void check_outcome(pmx_reply *, pmx_status, pmx_cause, const char *file, int line);
void check_says(const pmx_reply *, const char *part); /* of the text of its error */
void get_value(pmx_client *, const char *key); /* GET key, check_value */
void get_value_alone(pmx_client *, const char *key); /* the same with flags_alone() */
/* Now is at most `limit` of pmx_now_ms() and the margin of a hang; prints by how much it is over.
 */
void check_on_time(const char *what, int64_t limit_ms);

/* ---- the other side ---- */
struct fake *fake_for(const struct way *, fake_handler, void *ud);
size_t fake_accepted(struct fake *); /* connections so far */
/* A fake's handler: GET k is answered by the value of k, INCR by 1, everything else by +OK. */
int answer_values(void *ud, struct fake_conn *, int argc, char **argv, size_t *len);
void reply_value(struct fake_conn *, const char *key);

#endif
