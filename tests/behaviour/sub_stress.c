/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_stress.c - threads that make, use and free consumers of one client under each other's hands,
 * while messages come and connections are killed. Each message is one that its consumer asked for,
 * those of one channel come in order, and none is missing unless a gap says so. */
#include "behaviour/listening.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks.h"
#include "harness/util.h"

enum { THREADS = 6, CHANNELS = 5, SHORT_MS = 700 };

struct stress {
  struct server *server;
  pmx_client *client;
  const struct manner *manner;
  atomic_bool stop;
  _Atomic int64_t received, gaps, wrong;
  _Atomic int running; /* threads */
};

/* One consumer's view of the counters that are published. */
struct view {
  struct stress *stress;
  int64_t last[CHANNELS]; /* 0: none yet, or a gap */
  bool wanted[CHANNELS];
};

static void judge(struct view *v, const pmx_message *m)
{
  int channel;
  int64_t n;

  if (m->type == PMX_MESSAGE_GAP) {
    memset(v->last, 0, sizeof v->last);
    atomic_fetch_add(&v->stress->gaps, 1);
    return;
  }
  channel = m->channel[0] - '0';
  n = strtoll(m->data, NULL, 10);
  if (m->channel_len != 1 || channel < 0 || channel >= CHANNELS || n <= 0 ||
      (v->last[channel] && n != v->last[channel] + 1))
    atomic_fetch_add(&v->stress->wrong, 1);
  else
    v->last[channel] = n;
  atomic_fetch_add(&v->stress->received, 1);
}

static void on_message(void *ud, const pmx_message *m)
{
  judge(ud, m);
}

static void pull_some(pmx_sub *sub, struct view *v, int n)
{
  while (n-- > 0) {
    pmx_call call = call_in(n % 3 ? 0 : 5);
    pmx_reply *reply = pmx_sub_next(sub, &call);
    pmx_message m = PMX_MESSAGE_INIT;

    if (pmx_message_get(reply, &m))
      judge(v, &m);
    pmx_reply_free(reply);
  }
}

/* What is added again begins anew. What was there before it was removed may still come, so a
 * channel is taken up once only. */
static void use_one(struct stress *s, struct rng *rng)
{
  struct view *v = harness_alloc(sizeof *v);
  bool pulls = rng_below(rng, 2);
  pmx_sub *sub = pmx_sub_new(s->client, pulls ? NULL : on_message, v);
  int rounds = (int)rng_below(rng, 12);

  v->stress = s;
  while (rounds-- > 0 && !atomic_load(&s->stop)) {
    int channel = (int)rng_below(rng, CHANNELS);
    char name[2] = {(char)('0' + channel), '\0'};
    pmx_call call = call_in((int64_t)rng_below(rng, 40));

    if (!v->wanted[channel]) {
      v->wanted[channel] = true;
      pmx_reply_free(pmx_sub_add(sub, &call, PMX_SUB_CHANNEL, name, 1));
    } else if (rng_below(rng, 4) == 0) {
      pmx_reply_free(pmx_sub_remove(sub, &call, PMX_SUB_CHANNEL, name, 1));
    }
    if (pulls)
      pull_some(sub, v, 20);
    else
      sleep_ms((int64_t)rng_below(rng, 4));
  }
  pmx_sub_free(sub);
  free(v); /* nobody may call any more */
}

static void publish_and_kill(struct stress *s)
{
  int64_t end = now_ms() + (soak() ? 30000 : SHORT_MS), n = 0;

  while (now_ms() < end) {
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, ++n);
    for (int i = 0; i < CHANNELS; i++)
      publish(s->server, (char[]){(char)('0' + i), '\0'}, text);
    if (n % 50 == 0)
      kill_subscribers(s->server);
    if (s->manner && in_loop(s->manner))
      pmx_dispatch(s->client, 0);
  }
  atomic_store(&s->stop, true);
  while (in_loop(s->manner) && atomic_load(&s->running) > 0)
    pmx_dispatch(s->client, 10);
}

static void run(int i, void *arg)
{
  struct stress *s = arg;
  struct rng rng;

  if (i == THREADS) {
    publish_and_kill(s);
    return;
  }
  rng_seed(&rng, (uint64_t)i + 1);
  while (!atomic_load(&s->stop))
    use_one(s, &rng);
  atomic_fetch_sub(&s->running, 1);
}

START_TEST(nothing_is_wrong_missing_or_left)
{
  struct scene s;
  struct stress *stress = harness_alloc(sizeof *stress);

  scene_open(&s, _i, "reconnect.min_delay", "1ms", "reconnect.max_delay", "5ms", NULL);
  stress->server = s.server;
  stress->client = s.client;
  stress->manner = s.manner;
  stress->running = THREADS;
  run_threads(THREADS + 1, run, stress);
  printf("%s, io=%s: %" PRId64 " messages, %" PRId64 " gaps\n", s.manner->strategy, s.manner->io,
         stress->received, stress->gaps);
  ck_assert_int_eq(stress->wrong, 0);
  ck_assert_int_gt(stress->received, 0);
  ck_assert_uint_eq(stats_of(s.client).messages_dropped, 0);
  scene_close(&s);
  free(stress);
}
END_TEST

/* ---- who leaves a channel last, and who comes at that moment ---- */

static void leave(void *ear)
{
  pmx_call call = call_in(4 * SOON_MS);

  pmx_reply *reply =
      pmx_sub_remove(((struct ear *)ear)->sub, &call, PMX_SUB_CHANNEL, "crossing", 8);

  ck_assert_msg(pmx_ok(reply), "%s", pmx_reply_error(reply));
  pmx_reply_free(reply);
}

/* Whether its UNSUBSCRIBE is written or not, nobody waits for longer than for the server. */
START_TEST(the_last_to_leave_is_not_held_up_by_the_next_to_come)
{
  struct scene s;
  struct ear ears[2];
  int64_t begun;

  scene_open(&s, _i, NULL);
  for (int i = 0; i < 2; i++)
    ear_open(&ears[i], s.client, false);
  add_ok(&ears[0], PMX_SUB_CHANNEL, "crossing");
  begun = now_ms();
  for (int i = 0; i < (soak() ? 3000 : 150); i++) {
    struct background *leaving = background_start(leave, &ears[i % 2]);

    add_ok(&ears[(i + 1) % 2], PMX_SUB_CHANNEL, "crossing");
    background_join(leaving);
  }
  ck_assert_int_lt(now_ms() - begun, 2 * SOON_MS);
  for (int i = 0; i < 2; i++)
    ear_close(&ears[i]);
  scene_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_stress");

  server_require("sub_stress");
  tcase_set_timeout(tc, soak() ? 180 : 60);
  add_for_manners(tc, nothing_is_wrong_missing_or_left);
  add_for_io("thread", tc, the_last_to_leave_is_not_held_up_by_the_next_to_come);
  return checks_run("sub_stress", tc);
}
