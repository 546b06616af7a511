/* SPDX-License-Identifier: BSD-3-Clause */
/* unblock_races.c - a blocking pop that is given up just when an element is pushed: by a token, by
 * its deadline, by freeing its future. Each element is somewhere, once: returned, reported as an
 * orphan, or still in the list. */
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { ROUNDS = 1200, ROUNDS_SOAK = 20000, ANY_MS = 30000 };

enum kind { BY_TOKEN, BY_DEADLINE, ON_LEASE, CALLED_BACK, TAKEN, FREED, KINDS };

struct race {
  pmx_client *client, *pusher;
  int rounds;
  _Atomic unsigned char *found; /* how often each element was */
  _Atomic int returned, orphans, canceled, unknown, wrong;
  _Atomic int pushed, called_back;
  /* one round of the worker's */
  _Atomic int turn; /* odd: the worker's */
  _Atomic int stop;
  enum kind kind;
  int round; /* with a list of its own */
  pmx_call call;
};

static void find(struct race *r, const pmx_reply *popped)
{
  int i = atoi(pmx_reply_str(pmx_reply_at(popped, 1), NULL));

  if (i < 0 || i >= r->rounds || atomic_fetch_add(&r->found[i], 1) != 0)
    atomic_fetch_add(&r->wrong, 1);
}

static void judge(struct race *r, const pmx_reply *reply)
{
  switch (pmx_reply_status(reply)) {
  case PMX_OK:
    find(r, reply);
    atomic_fetch_add(&r->returned, 1);
    return;
  case PMX_NOT_RUN:
    atomic_fetch_add(&r->canceled, 1);
    return;
  case PMX_UNKNOWN:
    atomic_fetch_add(&r->unknown, 1);
    return;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
  case PMX_NOMEM:
    break;
  }
  fprintf(stderr, "%s\n", pmx_reply_error(reply));
  atomic_fetch_add(&r->wrong, 1);
}

static void on_event(void *ud, const pmx_event *event)
{
  struct race *r = ud;

  if (event->type != PMX_EVENT_ORPHAN)
    return;
  if (!event->detail || strncmp(event->detail, "BLPOP: \"q:", 10) != 0)
    atomic_fetch_add(&r->wrong, 1);
  find(r, event->reply);
  atomic_fetch_add(&r->orphans, 1);
}

static void on_push(void *ud, const pmx_reply *reply)
{
  struct race *r = ud;

  if (!pmx_ok(reply))
    atomic_fetch_add(&r->wrong, 1);
  atomic_fetch_add(&r->pushed, 1);
}

static void on_popped(void *ud, const pmx_reply *reply)
{
  struct race *r = ud;

  judge(r, reply);
  atomic_fetch_add(&r->called_back, 1);
}

/* ---- the thread that waits for its replies ---- */

static pmx_reply *pop(struct race *r)
{
  pmx_lease *lease;
  pmx_reply *reply;

  if (r->kind != ON_LEASE)
    return pmx_command_call(r->client, &r->call, "BLPOP q:%d 0", r->round);
  lease = pmx_acquire(r->client, NULL, &reply);
  if (!lease)
    return reply;
  reply = pmx_lease_command(lease, &r->call, "BLPOP q:%d 0", r->round);
  if (pmx_release(lease) != PMX_OK)
    atomic_fetch_add(&r->wrong, 1);
  return reply;
}

static void work(void *arg)
{
  struct race *r = arg;

  for (;;) {
    while (atomic_load(&r->turn) % 2 == 0 && !atomic_load(&r->stop))
      sleep_ms(0);
    if (atomic_load(&r->stop))
      return;
    pmx_reply *reply = pop(r);

    judge(r, reply);
    pmx_reply_free(reply);
    atomic_fetch_add(&r->turn, 1);
  }
}

/* ---- the thread that pushes and gives up ---- */

static void spin(struct rng *rng, uint64_t max)
{
  volatile uint64_t n = rng_below(rng, max);

  while (n > 0)
    n--;
}

static void push(struct race *r, int i)
{
  if (pmx_async(r->pusher, NULL, on_push, r, "RPUSH q:%d %d", i, i) != PMX_OK)
    atomic_fetch_add(&r->wrong, 1);
}

static void give_up(struct race *r, pmx_future *future)
{
  if (r->call.cancel)
    pmx_cancel_fire(r->call.cancel);
  else
    pmx_future_free(future);
}

static pmx_future *begin(struct race *r)
{
  switch (r->kind) {
  case BY_TOKEN:
  case BY_DEADLINE:
  case ON_LEASE:
    atomic_fetch_add(&r->turn, 1);
    return NULL;
  case CALLED_BACK:
    if (pmx_async(r->client, &r->call, on_popped, r, "BLPOP q:%d 0", r->round) != PMX_OK)
      atomic_fetch_add(&r->wrong, 1);
    return NULL;
  case TAKEN:
  case FREED:
  case KINDS:
    break;
  }
  return pmx_submit(r->client, &r->call, "BLPOP q:%d 0", r->round);
}

static bool is_over(void *arg)
{
  struct race *r = arg;

  return atomic_load(&r->turn) % 2 == 0;
}

static bool all_pushed(void *arg)
{
  struct race *r = arg;

  return atomic_load(&r->pushed) == r->rounds;
}

static bool all_called_back(void *arg)
{
  struct race *r = arg;

  return atomic_load(&r->called_back) > 0;
}

static void round_of(struct race *r, int i, struct rng *rng)
{
  pmx_future *future;

  r->kind = (enum kind)(i % KINDS);
  r->round = i;
  r->call = call_in(r->kind == BY_DEADLINE ? 1 + (int64_t)rng_below(rng, 2) : ANY_MS);
  r->call.cancel = r->kind == BY_DEADLINE || r->kind == FREED ? NULL : pmx_cancel_new();
  atomic_store(&r->called_back, 0);
  future = begin(r);
  spin(rng, 400000);
  if (rng_below(rng, 2)) {
    push(r, i);
    spin(rng, 60000);
    give_up(r, future);
  } else {
    give_up(r, future);
    spin(rng, 60000);
    push(r, i);
  }
  ck_assert(wait_for(is_over, r, SOON_MS));
  if (r->kind == CALLED_BACK)
    ck_assert(wait_for(all_called_back, r, SOON_MS));
  if (r->kind == TAKEN) {
    pmx_reply *reply = pmx_future_take(future);

    judge(r, reply);
    pmx_reply_free(reply);
  }
  pmx_cancel_free(r->call.cancel);
}

static void look_into_list(struct race *r, struct server *server, int *left)
{
  char key[24];

  for (int i = 0; i < r->rounds; i++) {
    int64_t n;

    snprintf(key, sizeof key, "q:%d", i);
    n = server_integer(server, "LLEN", key, (char *)NULL);
    r->found[i] += (unsigned char)n;
    *left += (int)n;
  }
}

static void check_all(struct race *r, struct server *server)
{
  pmx_stats stats = stats_of(r->client);
  int left = 0;

  look_into_list(r, server, &left);
  printf("pushed %d: returned %d, orphans %d, left %d; canceled %d, late %d, unknown %d\n",
         r->rounds, r->returned, r->orphans, left, r->canceled, (int)stats.late_wins, r->unknown);
  ck_assert_int_eq(r->wrong, 0);
  for (int i = 0; i < r->rounds; i++)
    ck_assert_msg(r->found[i] == 1, "element %d was found %d times", i, r->found[i]);
  ck_assert_int_eq(r->returned + r->orphans + left, r->rounds);
  ck_assert_int_eq(r->unknown, 0);
  ck_assert_int_gt(r->canceled, 0);
  ck_assert_int_gt(r->returned, 0);
  ck_assert_int_gt(r->orphans, 0);
  ck_assert_uint_gt(stats.unblocks, 0);
  ck_assert_uint_eq(stats.orphans, (uint64_t)r->orphans);
  /* Only those whose time was over while their connection learnt who it is cost one. */
  ck_assert_uint_le(stats.opened, 20);
}

START_TEST(each_element_is_returned_or_reported_or_left)
{
  struct server *server = server_start(NULL);
  struct race r = {.rounds = soak() ? ROUNDS_SOAK : ROUNDS};
  const char *url = server_url(server, SERVER_UNIX);
  pmx_options *options = options_for(strategies[_i]);
  struct background *worker;
  struct rng rng;

  rng_seed(&rng, test_seed("unblock_races"));
  r.found = harness_alloc((size_t)r.rounds);
  pmx_options_set(options, "cancel_grace", "20s");
  pmx_options_set(options, "pool.max_size", "4");
  pmx_options_set(options, "pool.wait_timeout", "forever");
  pmx_options_set_events(options, on_event, &r);
  r.client = open_client_with(url, options);
  r.pusher = open_client("mux", url, NULL);
  worker = background_start(work, &r);
  for (int i = 0; i < r.rounds; i++)
    round_of(&r, i, &rng);
  atomic_store(&r.stop, 1);
  background_join(worker);
  check_stat(r.client, in_use, 0); /* freed futures end by themselves */
  ck_assert(wait_for(all_pushed, &r, SOON_MS));
  close_client(r.pusher);
  pmx_close(r.client, ANY_MS);
  ck_assert(server_has(server, "blocked_clients", 0, SOON_MS));
  for (int i = 0; i < SOON_MS && (uint64_t)atomic_load(&r.orphans) < stats_of(r.client).orphans;
       i++)
    sleep_ms(1);
  check_all(&r, server);
  close_client(r.client);
  free((void *)r.found);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("unblock_races");

  server_require("unblock_races");
  add_for_strategies_with(LEASES, tc, each_element_is_returned_or_reported_or_left);
  return checks_run("unblock_races", tc);
}
