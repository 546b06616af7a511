/* SPDX-License-Identifier: BSD-3-Clause */
/* attempt.h - one call of a caller, shared by caller.c, leasing.c and judge.c. */
#ifndef PMX_SIM_ATTEMPT_H
#define PMX_SIM_ATTEMPT_H
#include "sim/caller.h"

enum kind { GET, SET, INCR, ECHO_KEY, LPUSH, BLPOP, KINDS };

/* One call and the frame it must stay in. */
struct attempt {
  enum kind kind;
  unsigned call, lease;
  unsigned list;    /* of LPUSH and BLPOP */
  int64_t block_ms; /* BLPOP's own timeout; 0: none */
  int lane;         /* where it must go; LANE_NONE: to a connection of its own */
  char key[40];
  int64_t started, deadline, frozen; /* frozen: sim_frozen() when it began */
  int64_t asked;                     /* a future: since when somebody sleeps for it */
  int unattended;                    /* a callback or a future */
  pmx_call options;
  struct token *token;
  pmx_lease *on;
};

/* caller.c */
void attempt_name(struct attempt *);           /* its number and key */
void attempt_draw(struct attempt *, int who);  /* timeouts, flags, token */
void attempt_draw_place(struct attempt *);     /* flags of where it goes */
enum kind attempt_kind(void);                  /* one that the strategy carries */
void attempt_begin(struct attempt *);          /* when it must end */
int64_t attempt_grace(const struct attempt *); /* how much later it may end */
pmx_reply *attempt_send(struct attempt *);
struct words {
  int argc;
  const char *argv[3];
  size_t len[3];
  char *value, block[16];
};
void attempt_words(const struct attempt *, struct words *ret);
void words_free(struct words *);
void attempt_waits(struct attempt *, const struct words *, int how); /* see oracle_waits */
/* judge.c */
int attempt_may_repeat(const struct attempt *);
void attempt_check_time(const struct attempt *);
void attempt_check_cause(const struct attempt *, const pmx_reply *);
void attempt_check(const struct attempt *, const pmx_reply *, int in_multi); /* all there is */

#endif
