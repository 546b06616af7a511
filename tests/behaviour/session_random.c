/* SPDX-License-Identifier: BSD-3-Clause */
/* session_random.c - random programmes of commands that change a connection, each on a lease: the
 * next lease finds the baseline, on the same connection or on a new one. The oracle is the server's
 * CLIENT INFO, a transaction that somebody else's write must not void, and the database. */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"
#include "harness/util.h"

enum { LENGTH_MAX = 8, USUAL = 1000, LONG = 10000 };

/* What a server refuses, in this state or this version, is part of it. */
static const char *const commands[] = {
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH w",
    "WATCH w x",
    "UNWATCH",
    "SET t 1",
    "GET w",
    "INCR w",
    "LPUSH t 1", /* wrong type */
    "NO-SUCH-COMMAND",
    "SELECT 5",
    "SELECT 0",
    "SELECT 99",
    "CLIENT SETNAME other",
    "CLIENT SETNAME mine",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING ON BCAST",
    "CLIENT TRACKING ON OPTIN",
    "CLIENT CACHING YES",
    "CLIENT TRACKING OFF",
    "CLIENT NO-EVICT ON",
    "CLIENT NO-EVICT OFF",
    "CLIENT NO-TOUCH ON",
    "CLIENT NO-TOUCH OFF",
    "READONLY",
    "READWRITE",
    "ASKING",
    "HELLO 2",
    "HELLO 9",
    "AUTH other secret",
    "AUTH other wrong",
    "RESET",
    "QUIT",
    "EVAL redis.call('select',5) 0",
    "BLPOP nothing 0.001",
    "@", /* somebody else writes w */
};
enum { COMMANDS = sizeof commands / sizeof *commands };

struct programme {
  const char *lines[LENGTH_MAX];
  int length;
  char text[512];
};

static void draw(struct rng *rng, struct programme *p)
{
  size_t len = 0;

  p->length = 1 + (int)rng_below(rng, LENGTH_MAX);
  for (int i = 0; i < p->length; i++) {
    p->lines[i] = commands[rng_below(rng, COMMANDS)];
    len += (size_t)snprintf(p->text + len, sizeof p->text - len, "%s; ", p->lines[i]);
  }
}

static void run(struct server *server, pmx_client *client, const struct programme *p)
{
  pmx_lease *lease = take(client);

  for (int i = 0; i < p->length; i++) {
    if (p->lines[i][0] == '@')
      server_ask(server, "INCR w");
    else
      pmx_reply_free(lease_words(lease, p->lines[i]));
  }
  give_back(lease);
}

static void check_clean(struct server *server, pmx_client *client, const char *baseline,
                        const char *programme)
{
  pmx_lease *lease = take(client);
  char *session = session_of(lease);
  pmx_reply *reply;

  ck_assert_msg(strcmp(session, baseline) == 0, "after \"%s\" the next lease finds: %s\nnot: %s",
                programme, session, baseline);
  free(session);
  lease_ok(lease, "MULTI");
  lease_ok(lease, "EXISTS only-in-5");
  server_ask(server, "INCR w");
  reply = pmx_lease_command(lease, NULL, "EXEC");
  ck_assert_msg(pmx_reply_type(reply) == PMX_TYPE_ARRAY &&
                    pmx_reply_int(pmx_reply_at(reply, 0), NULL) == 0,
                "after \"%s\" a transaction of the next lease is void, or elsewhere", programme);
  pmx_reply_free(reply);
  give_back(lease);
}

START_TEST(no_programme_leaves_anything_to_the_next_lease)
{
  struct server *server = server_start(NULL);
  struct programme p;
  struct rng rng;
  pmx_client *client;
  pmx_lease *lease;
  char *baseline;
  int n = soak() ? LONG : USUAL;

  rng_seed(&rng, test_seed(__func__));
  server_ask(server, "ACL SETUSER other on >secret");
  server_ask(server, "ACL SETUSER other ~* &* +@all");
  server_ask(server, "SET w 1");
  client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "1",
                       "client_name", "mine", NULL);
  lease = take(client);
  lease_ok(lease, "SELECT 5");
  lease_ok(lease, "SET only-in-5 1");
  give_back(lease);
  lease = take(client);
  baseline = session_of(lease);
  give_back(lease);
  for (int i = 0; i < n; i++) {
    draw(&rng, &p);
    run(server, client, &p);
    check_clean(server, client, baseline, p.text);
  }
  printf("%s: %d programmes: %llu repaired, %llu closed\n", ways[_i].strategy, n,
         (unsigned long long)stats_of(client).repairs,
         (unsigned long long)stats_of(client).closed_dirty);
  free(baseline);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("session_random");

  server_require("session_random");
  add_for_ways_with(LEASES, tc, no_programme_leaves_anything_to_the_next_lease);
  return checks_run("session_random", tc);
}
