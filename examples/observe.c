/* SPDX-License-Identifier: BSD-3-Clause */
/* observe.c - log lines, events and statistics, while a connection is killed on purpose.
 * usage: observe [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

/* Both run on the client's own thread, one at a time, and should be quick: it also connects. */
static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  fprintf(ud, "log %d: %s: %s\n", (int)level, component, message);
}

struct seen {
  int connected, lost, closed;
};

static void on_event(void *ud, const pmx_event *event)
{
  struct seen *seen = ud;

  seen->connected += event->type == PMX_EVENT_CONNECTED;
  seen->lost += event->type == PMX_EVENT_LOST;
  seen->closed += event->type == PMX_EVENT_CLOSED;
  printf("event %d: connection %llu of %s: %s\n", (int)event->type,
         (unsigned long long)event->conn_id, event->endpoint ? event->endpoint : "all",
         event->detail);
}

static pmx_client *open_observed(const char *url, struct seen *seen)
{
  pmx_options *options = pmx_options_new();
  pmx_reply *err = NULL;
  pmx_client *client;

  pmx_options_set(options, "pool.name", "observed");
  pmx_options_set_log(options, on_log, PMX_LOG_INFO, stdout);
  pmx_options_set_events(options, on_event, seen);
  client = pmx_open(url, options, &err); /* says so when a setting was bad */
  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options); /* pmx_open has copied it */
  return client;
}

/* The lease's next command finds its connection dead; every other call takes another one. */
static int kill_a_connection(pmx_client *client)
{
  pmx_lease *lease = pmx_acquire(client, NULL, NULL);
  pmx_reply *reply = pmx_lease_command(lease, NULL, "CLIENT ID"); /* INVALID without a lease */
  int64_t id = pmx_reply_int(reply, NULL);
  int lost;

  pmx_reply_free(reply);
  pmx_reply_free(pmx_command(client, "CLIENT KILL ID %lld", (long long)id));
  reply = pmx_lease_command(lease, NULL, "PING");
  lost = pmx_reply_cause(reply) == PMX_CAUSE_LOST;
  printf("PING on the lease: %s\n", pmx_reply_error(reply));
  pmx_reply_free(reply);
  pmx_release(lease);
  return lost;
}

int main(int argc, char **argv)
{
  struct seen seen = {0, 0, 0};
  pmx_client *client = open_observed(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), &seen);
  pmx_stats stats = PMX_STATS_INIT;
  int good;

  if (!client)
    return 1;
  good = kill_a_connection(client) && pmx_reply_finish(pmx_command(client, "PING")) == PMX_OK;
  pmx_stats_get(client, &stats);
  printf("%llu commands, %llu connections opened, %llu closed\n",
         (unsigned long long)stats.commands, (unsigned long long)stats.opened,
         (unsigned long long)stats.closed);
  pmx_unref(client); /* the last owner: afterwards no callback runs any more */
  /* Each connection has come once and gone once. What makes spans of calls: opentelemetry.c. */
  good &= seen.connected == seen.lost + seen.closed;
  return good && seen.connected >= 2 && seen.lost == 1 ? 0 : 1;
}
