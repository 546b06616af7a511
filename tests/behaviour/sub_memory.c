/* SPDX-License-Identifier: BSD-3-Clause */
/* sub_memory.c - publish/subscribe while memory runs out, each allocation in turn, once and from
 * then on: calls say so, nobody hangs, and what is said to be subscribed is, or a gap is told. Sees
 * base/mem.h. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "behaviour/listening.h"
#include "harness/checks.h"
#include "harness/torture.h"
#include "harness/util.h"

struct memory {
  struct scene s;
  const char *url;
  pmx_client *client; /* of one run */
  pmx_sub *sub;
  bool added;
  int hits, answered;
};

static bool is_sensible(const pmx_reply *reply)
{
  pmx_cause cause = pmx_reply_cause(reply);

  switch (pmx_reply_status(reply)) {
  case PMX_OK:
    return true;
  case PMX_NOMEM:
    return cause == PMX_CAUSE_NONE;
  case PMX_NOT_RUN:
  case PMX_UNKNOWN:
    return cause == PMX_CAUSE_NOMEM || cause == PMX_CAUSE_LOST || cause == PMX_CAUSE_CONNECT ||
           cause == PMX_CAUSE_TIMEOUT || cause == PMX_CAUSE_CIRCUIT_OPEN;
  case PMX_SERVER_ERROR:
  case PMX_INVALID:
    break;
  }
  return false;
}

static bool ends_well(struct memory *m, const char *what, pmx_reply *reply)
{
  bool ok = pmx_ok(reply);

  ck_assert_msg(is_sensible(reply), "%s: %s/%s: %s", what, pmx_status_str(pmx_reply_status(reply)),
                pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  m->answered += ok;
  pmx_reply_free(reply);
  return ok;
}

static void subscribe_and_hear(void *arg)
{
  struct memory *m = arg;
  pmx_call call = call_in(100);
  pmx_options *options = pmx_options_new();

  pmx_options_set(options, "strategy", m->s.manner->strategy);
  pmx_options_set(options, "io", m->s.manner->io);
  pmx_options_set(options, "connect", "lazy");
  pmx_options_set(options, "offline", "fail");
  trust_for(options, m->url);
  m->client = pmx_open(m->url, options, NULL);
  pmx_options_free(options);
  m->sub = m->client ? pmx_sub_new(m->client, NULL, NULL) : NULL;
  if (!m->sub)
    return;
  m->added = ends_well(m, "add", pmx_sub_add(m->sub, &call, PMX_SUB_CHANNEL, "c", 1));
  ends_well(m, "add", pmx_sub_add(m->sub, &call, PMX_SUB_PATTERN, "p*", 2));
  ends_well(m, "publish", pmx_do(m->client, &call, "PUBLISH", "c", "x", (char *)NULL));
  call = call_in(20);
  ends_well(m, "next", pmx_sub_next(m->sub, &call));
  ends_well(m, "remove", pmx_sub_remove(m->sub, &call, PMX_SUB_PATTERN, "p*", 2));
}

/* With memory again. What was confirmed still is, or was lost with its connection and comes back.
 */
static void look(void *arg, uint64_t n, bool sticky, bool hit)
{
  struct memory *m = arg;
  int64_t end = pmx_now_ms() + SOON_MS;
  bool heard = !m->sub || !m->added;

  (void)n, (void)sticky;
  m->hits += hit;
  while (!heard && pmx_now_ms() < end) {
    pmx_call call = call_in(20);
    pmx_reply *reply;
    pmx_message message = PMX_MESSAGE_INIT;

    publish(m->s.server, "c", "again");
    reply = pmx_sub_next(m->sub, &call);
    heard = pmx_message_get(reply, &message) && message.type == PMX_MESSAGE_DATA &&
            strcmp(message.data, "again") == 0;
    pmx_reply_free(reply);
  }
  ck_assert_msg(heard, "%s, n=%llu: nothing is heard any more", sticky ? "sticky" : "once",
                (unsigned long long)n);
  pmx_sub_free(m->sub);
  pmx_unref(m->client);
  m->sub = NULL;
  m->client = NULL;
  m->added = false;
}

START_TEST(short_memory_costs_no_more_than_it_says)
{
  struct memory m = {.hits = 0};
  uint64_t runs;

  scene_open(&m.s, _i, NULL);
  m.url = manner_url(m.s.manner, m.s.server);
  runs = torture(subscribe_and_hear, look, &m);
  printf("%llu runs, %d failures met, %d calls succeeded\n", (unsigned long long)runs, m.hits,
         m.answered);
  ck_assert_int_gt(m.hits, 30);
  ck_assert_int_gt(m.answered, 0);
  scene_close(&m.s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("sub_memory");

  server_require("sub_memory");
  tcase_set_timeout(tc, 60);
  for (int i = 0; i < manner_count; i++) {
    if (manners[i].over == OVER_UNIX)
      tcase_add_loop_test(tc, short_memory_costs_no_more_than_it_says, i, i + 1);
  }
  return checks_run("sub_memory", tc);
}
