/* SPDX-License-Identifier: BSD-3-Clause */
/* opentelemetry.c - a span of OpenTelemetry around each call, with the names of its semantic
 * conventions for Redis, written as OTLP in JSON, a line each: what the collector's receiver
 * "otlpjsonfile" reads. A program that has an SDK calls that in begin() and end() instead.
 * usage: opentelemetry [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <inttypes.h>
#include <poolmux/poolmux.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The span of the program that a call is a part of; an SDK has it as the current context. */
struct context {
  uint64_t trace[2], span;
};
static _Thread_local struct context current;
static _Atomic uint64_t last_id;

struct span {
  struct context parent;
  uint64_t id;
  int64_t started;
};

static int64_t unix_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* On the caller's thread, whose context is the parent. */
static void *begin(void *ud, const pmx_trace_call *call)
{
  struct span *span = malloc(sizeof *span);

  (void)ud, (void)call;
  if (span)
    *span = (struct span){current, atomic_fetch_add(&last_id, 1) + 1, unix_ns()};
  return span;
}

/* ---- from here to end(): what makes a span of it ---- */

static void put_text(const char *key, const char *value)
{
  printf(",{\"key\":\"%s\",\"value\":{\"stringValue\":\"", key);
  for (; *value; value++) /* a server may say anything: what is not ASCII is taken for Latin-1 */
    if (*value < ' ' || *value > '~' || *value == '"' || *value == '\\')
      printf("\\u%04x", (unsigned char)*value);
    else
      putchar(*value);
  printf("\"}}");
}

static void put_int(const char *key, int64_t value)
{
  printf(",{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}", key, value);
}

/* "host:port", "[address]:port", or the path of a socket. */
static void put_endpoint(const char *endpoint)
{
  const char *port = endpoint[0] == '/' ? NULL : strrchr(endpoint, ':');
  char host[256];

  snprintf(host, sizeof host, "%.*s", port ? (int)(port - endpoint) : 255, endpoint);
  put_text("server.address", host);
  if (port)
    put_int("server.port", strtol(port + 1, NULL, 10));
}

static void put_error(const pmx_reply *reply)
{
  if (pmx_reply_status(reply) == PMX_SERVER_ERROR) {
    put_text("db.response.status_code", pmx_reply_error_code(reply));
    put_text("error.type", pmx_reply_error_code(reply));
  } else if (pmx_reply_status(reply) != PMX_OK) {
    put_text("error.type", pmx_cause_str(pmx_reply_cause(reply)));
  }
}

/* On the caller's thread or the client's: each line is printed as a whole. */
static void end(void *ud, void *of_begin, const pmx_trace_call *call, const pmx_reply *reply)
{
  struct span *span = of_begin;

  if (!span)
    return;
  flockfile(stdout);
  printf("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
         "{\"stringValue\":\"example\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"poolmux\"},"
         "\"spans\":[{\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"spanId\":\"%016" PRIx64 "\","
         "\"parentSpanId\":\"%016" PRIx64 "\",\"name\":\"%s\",\"kind\":3,\"startTimeUnixNano\":\""
         "%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64 "\",\"attributes\":[{\"key\":"
         "\"db.system.name\",\"value\":{\"stringValue\":\"redis\"}}",
         span->parent.trace[0], span->parent.trace[1], span->id, span->parent.span, call->command,
         span->started, span->started + call->total_ns);
  put_text("db.operation.name", call->command);
  put_text("db.namespace", ud); /* the number of the database, which the program has set */
  put_endpoint(call->endpoint);
  put_error(reply);
  put_text("poolmux.place", call->place);
  put_int("poolmux.queued_ns", call->queued_ns);
  put_int("poolmux.wire_ns", call->wire_ns);
  put_int("poolmux.conn_id", (int64_t)call->conn_id);
  put_int("poolmux.attempts", call->attempts);
  printf("],\"status\":{\"code\":%d}}]}]}]}\n", pmx_ok(reply) ? 0 : 2);
  funlockfile(stdout);
  free(span);
}

/* ---- the program ---- */

static pmx_client *open_traced(const char *url)
{
  static char db[] = "0";
  const pmx_trace trace = {sizeof trace, begin, end};
  pmx_options *options = pmx_options_new();
  pmx_reply *err = NULL;
  pmx_client *client;

  pmx_options_set(options, "db", db);
  pmx_options_set_trace(options, &trace, db);
  client = pmx_open(url, options, &err);
  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

int main(int argc, char **argv)
{
  pmx_client *client = open_traced(argc > 1 ? argv[1] : getenv("POOLMUX_URL"));
  pmx_status wrong;

  if (!client)
    return 1;
  current = (struct context){{(uint64_t)unix_ns(), 1}, 1}; /* the request that is served */
  atomic_store(&last_id, 1);
  pmx_reply_finish(pmx_command(client, "SET otel:greeting hello"));
  wrong = pmx_reply_finish(pmx_command(client, "LPUSH otel:greeting x")); /* no list: an error */
  pmx_reply_free(pmx_future_take(pmx_submit(client, NULL, "DEL otel:greeting")));
  pmx_unref(client); /* afterwards no span is open */
  return wrong == PMX_SERVER_ERROR && atomic_load(&last_id) == 4 ? 0 : 1;
}
