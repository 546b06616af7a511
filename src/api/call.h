/* SPDX-License-Identifier: BSD-3-Clause */
/* call.h - what the public functions hand to the one call path. */
#ifndef PMX_API_CALL_H
#define PMX_API_CALL_H
#include "api/client.h"
#include "resp/encode.h"

struct parts;
struct order;

/* One try; NULL: all answers of a group are there. Thread: the caller's. */
typedef pmx_reply *call_try(struct runtime *, struct order *, const struct call *, int64_t now);

/* What is to be done: encoded once, submitted perhaps more than once. */
struct order {
  struct encoded encoded; /* its small bytes are the issuer's */
  struct route route;
  struct link *link; /* of the lease, or NULL */
  uint64_t ticket;
  uint32_t learn; /* where to note the size of its reply; 0 = nowhere */
  struct parts *parts; /* of a group, or NULL */
  int given_away; /* a lane has its bytes: it cannot be sent again */
  int64_t started; /* of the call; 0: it did not begin */
  int64_t ended;   /* of the last try; 0: nobody looked at the clock */
  call_try *attempt;
  int max_tries; /* while they end CONFLICT */
};

struct attempts;

void order_init(struct order *, struct link *, uint64_t ticket);
pmx_reply *call_refuse(const pmx_client *, const struct order *); /* NULL, or why it is not sent */
/* NULL, or why such a command is not sent. The encoded bytes are the caller's to clear; see
 * encode_args. */
pmx_reply *call_make_order(const pmx_client *, const struct call *, const struct args *,
                           char *small, size_t small_size, struct order *ret);
/* Where it goes, see router.h and unknown.h; counts why. Without arguments: a group. */
void call_route(pmx_client *, struct runtime *, const struct args *, struct order *);
void call_prepare(struct request *, const struct order *, const struct call *, int64_t now);
void call_take_back(const struct request *, struct order *); /* after its end: who owns the bytes */
void call_learn(pmx_client *, const struct order *, const pmx_reply *);
/* Sends it where it belongs, again as retry.h says, until the deadline; what its tries have done is
 * added up. */
pmx_reply *call_perform(pmx_client *, struct runtime *, const struct args *, struct order *,
                        struct call *, struct attempts *);
/* Its outcome, once, with how long it took. started 0: it did not begin; ended 0: just now. */
void call_count(pmx_client *, const pmx_reply *, int64_t started, int64_t ended);
/* The same where callbacks run, one at a time. */
void call_count_in_callback(pmx_client *, const pmx_reply *, int64_t started, int64_t ended);
call_try call_send; /* the try of everything that is one request */
/* From reading the options of the call to the outcome of the last try, which may be NULL, see
 * call_try. Without arguments the order is made already. Not counted. */
pmx_reply *call_carry_out(pmx_client *, const pmx_call *, const struct args *, struct order *);

/* The arguments have been read, or `bad_args` says why not. Counts the call. */
pmx_reply *call_execute(pmx_client *, const pmx_call *, struct args *, pmx_reply *bad_args,
                        struct link *, uint64_t ticket);

#endif
