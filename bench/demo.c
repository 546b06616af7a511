/* SPDX-License-Identifier: BSD-3-Clause */
/* demo.c - the library at work in a few seconds: many threads on few connections, over a Unix
 * socket, over TCP and through TLS, while their connections are killed. Kills connections of its
 * own only, by their number. Ctrl-C ends it with what there is. Ends with 1 when anything was
 * wrong. */
#include <poolmux/poolmux.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo_crew.h"
#include "demo_show.h"

enum {
  CONNECTIONS = 16,
  PHASE_MS = 2400,
  TICK_MS = 40,
  RELOAD_AT_MS = 1200,
  KILLS = 2,
  COLUMNS = 3,
  MAX_KILLED = 64,
  NAME_SIZE = 64
};
#define KILL "CLIENT KILL ID %ld SKIPME no"
static const int64_t kill_at_ms[KILLS] = {900, 1700};

static volatile sig_atomic_t interrupted; /* by which signal */

static void interrupt(int signal_number)
{
  interrupted = signal_number;
}

/* The second one ends the program at once. */
static void catch_signals(void)
{
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};

  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    sigaction(signals[i], &action, NULL);
}

static void pause_ms(long ms)
{
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static pmx_client *open_client(const char *url, const char *ca_file, const char *name)
{
  pmx_options *options = pmx_options_new();
  char size[NUMBER_SIZE];
  pmx_client *client;
  pmx_reply *err;

  pmx_options_set(options, "strategy", "pool"); /* one connection for each caller */
  snprintf(size, sizeof size, "%d", (int)CONNECTIONS);
  pmx_options_set(options, "pool.max_size", size);
  pmx_options_set(options, "pool.wait_timeout", "2s");
  pmx_options_set(options, "client_name", name);
  if (ca_file) {
    pmx_options_set(options, "tls.ca_file", ca_file);
    pmx_options_set(options, "tls.retire", "300ms");
  }
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "%s: %s\n", url, pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

/* ---- killing our own connections, all in one moment ---- */

/* The ids in CLIENT LIST of connections with our name; returns how many. */
static int find_ids(const char *list, const char *name, long ids[MAX_KILLED])
{
  char wanted[NAME_SIZE + 8];
  int n = 0;

  snprintf(wanted, sizeof wanted, " name=%s ", name);
  while (list && *list && n < MAX_KILLED) {
    const char *end = strchr(list, '\n'), *found = strstr(list, wanted);

    if (found && (!end || found < end) && sscanf(list, "id=%ld", &ids[n]) == 1)
      n++;
    list = end ? end + 1 : NULL;
  }
  return n;
}

static int told(pmx_reply *reply)
{
  return pmx_reply_finish(reply) == PMX_OK;
}

/* Prepares a transaction that kills all, so that it is one moment. The connection that asks comes
 * last, or the answer would be lost with it. 1 = EXEC is what remains. */
static int prepare_kill(pmx_lease *lease, const pmx_call *call, const char *name)
{
  long ids[MAX_KILLED], own;
  pmx_reply *reply = pmx_lease_command(lease, call, "CLIENT ID");
  int n, good;

  own = (long)pmx_reply_int(reply, NULL);
  pmx_reply_free(reply);
  reply = pmx_lease_command(lease, call, "CLIENT LIST TYPE normal");
  n = find_ids(pmx_reply_str(reply, NULL), name, ids);
  pmx_reply_free(reply);
  good = told(pmx_lease_command(lease, call, "MULTI"));
  for (int i = 0; good && i < n; i++)
    good = ids[i] == own || told(pmx_lease_command(lease, call, KILL, ids[i]));
  return good && told(pmx_lease_command(lease, call, KILL, own));
}

static void kill_all(struct column *c, pmx_client *client, const char *name)
{
  struct kill *kill = &c->kill[c->kills];
  pmx_call call = PMX_CALL_INIT;
  uint64_t killed = 0;
  pmx_lease *lease;
  pmx_reply *reply;

  call.timeout_ms = 500;
  lease = pmx_acquire(client, &call, NULL);
  if (lease && prepare_kill(lease, &call, name)) {
    kill->from_ms = pulse_age_ms(c->pulse);
    reply = pmx_lease_command(lease, &call, "EXEC");
    kill->to_ms = pulse_age_ms(c->pulse);
    for (size_t i = 0; i < pmx_reply_len(reply); i++)
      killed += pmx_reply_int(pmx_reply_at(reply, i), NULL) == 1;
    pmx_reply_free(reply);
    c->kills++;
    c->killed += killed;
    show_killed(c, killed);
  }
  if (lease)
    pmx_release(lease);
}

/* ---- TLS ---- */

static void reload(struct column *c, pmx_client *client)
{
  pmx_reply *reply = pmx_reload_tls(client);

  c->reloaded = 1;
  if (!pmx_ok(reply))
    tally_wrong(&c->tally, "pmx_reload_tls: %s", pmx_reply_error(reply));
  pmx_reply_free(reply);
  show_reloaded(c);
}

/* What becomes of a client that was not told whom to trust. */
static void try_stranger(struct column *c)
{
  pmx_reply *err;
  pmx_client *client = pmx_open(c->url, NULL, &err);

  if (client || pmx_reply_cause(err) != PMX_CAUSE_TLS)
    tally_wrong(&c->tally, "a server was trusted that nobody vouched for");
  else
    snprintf(c->refusal, sizeof c->refusal, "%s", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_unref(client);
}

/* ---- one transport ---- */

static void watch(struct column *c, pmx_client *client, const char *name)
{
  while (!interrupted && pulse_age_ms(c->pulse) < PHASE_MS) {
    pause_ms(TICK_MS);
    if (c->kills < KILLS && pulse_age_ms(c->pulse) >= kill_at_ms[c->kills])
      kill_all(c, client, name);
    if (c->ca_file && !c->reloaded && pulse_age_ms(c->pulse) >= RELOAD_AT_MS)
      reload(c, client);
    show_progress(c);
  }
}

static void check_books(struct column *c)
{
  const pmx_stats *s = &c->stats;

  if (s->opened != s->closed + s->live || s->borrows != s->returns + s->discards + s->in_use)
    tally_wrong(&c->tally, "the statistics do not add up");
}

static void run_crew(struct column *c, struct crew *crew, pmx_client *client, pmx_cancel *stop,
                     const char *name)
{
  show_start(c);
  watch(c, client, name);
  if (interrupted)
    pmx_cancel_fire(stop);
  c->lasted_ms = pulse_age_ms(c->pulse);
  crew_stop(crew);
  c->stats = (pmx_stats)PMX_STATS_INIT;
  pmx_stats_get(client, &c->stats);
  c->audited = crew_audit(crew) == 0;
  tally_join(&c->tally, crew_tally(crew));
  check_books(c);
  if (!c->audited && !interrupted)
    tally_wrong(&c->tally, "the server did not answer at the end");
  show_stop(c);
}

/* 0 = it ran, and the column holds what came of it. */
static int run_phase(struct column *c)
{
  pmx_cancel *stop = pmx_cancel_new();
  char name[NAME_SIZE], prefix[NAME_SIZE];
  pmx_client *client;
  struct crew *crew;

  snprintf(name, sizeof name, "poolmux-demo-%ld", (long)getpid());
  snprintf(prefix, sizeof prefix, "poolmux:demo:%ld:", (long)getpid());
  client = open_client(c->url, c->ca_file, name);
  crew = stop && client ? crew_start(client, stop, prefix, c->pulse) : NULL;
  if (crew) {
    run_crew(c, crew, client, stop, name);
    crew_free(crew);
    if (c->ca_file && !interrupted)
      try_stranger(c);
  }
  if (client)
    pmx_unref(client);
  pmx_cancel_free(stop);
  return crew ? 0 : -1;
}

int main(int argc, char **argv)
{
  static struct pulse pulses[COLUMNS];
  static struct column columns[COLUMNS] = {{.name = "Unix socket", .pulse = &pulses[0]},
                                           {.name = "TCP", .pulse = &pulses[1]},
                                           {.name = "TLS", .pulse = &pulses[2]}};
  size_t n = 0, all = argc == 5 ? 3 : 2;
  int failed = 0;

  if (argc != 3 && argc != 5) {
    fprintf(stderr, "usage: %s URL_TCP URL_UNIX [URL_TLS CA_FILE]\n",
            argc > 0 ? argv[0] : "poolmux-demo");
    return 2;
  }
  columns[0].url = argv[2];
  columns[1].url = argv[1];
  columns[2].url = all == 3 ? argv[3] : NULL;
  columns[2].ca_file = all == 3 ? argv[4] : NULL;
  catch_signals();
  show_init(PHASE_MS);
  show_headline(CONNECTIONS);
  for (; n < all && !failed && !interrupted; n += !failed)
    failed = run_phase(&columns[n]) != 0;
  if (n > 0) {
    show_table(columns, n);
    show_sentences(columns, n, CONNECTIONS, interrupted != 0);
  }
  for (size_t i = 0; i < n; i++)
    failed |= columns[i].tally.wrong > 0 || columns[i].tally.calls == 0;
  return interrupted ? 128 + interrupted : failed;
}
