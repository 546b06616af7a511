/* SPDX-License-Identifier: BSD-3-Clause */
/* calling.c - see calling.h. */
#include "behaviour/calling.h"

#include <check.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/util.h"

const struct manner manners[] = {
    {"pool", "thread", OVER_TCP},   {"pool", "thread", OVER_UNIX},   {"pool", "loop", OVER_TCP},
    {"pool", "loop", OVER_UNIX},    {"mux", "thread", OVER_TCP},     {"mux", "thread", OVER_UNIX},
    {"mux", "loop", OVER_TCP},      {"mux", "loop", OVER_UNIX},      {"hybrid", "thread", OVER_TCP},
    {"hybrid", "loop", OVER_TCP},   {"hybrid", "thread", OVER_UNIX}, {"hybrid", "loop", OVER_UNIX},
    {"hybrid", "thread", OVER_TLS}, {"hybrid", "loop", OVER_TLS},    {"pool", "thread", OVER_TLS},
    {"pool", "loop", OVER_TLS},     {"mux", "thread", OVER_TLS},     {"mux", "loop", OVER_TLS},
};
enum { MANNERS = sizeof manners / sizeof manners[0], LEFT_OUT = 4 /* at the end */ };
int manner_count = MANNERS;

void manners_brief(void)
{
  ways_brief();
  if (!soak())
    manner_count = MANNERS - LEFT_OUT;
}

bool in_loop(const struct manner *manner)
{
  return strcmp(manner->io, "loop") == 0;
}

struct way way_of(const struct manner *manner)
{
  return (struct way){manner->strategy, manner->over};
}

const char *manner_url(const struct manner *manner, const struct server *server)
{
  return server_url_over(server, manner->over);
}

pmx_client *open_manner(const struct manner *manner, const char *url, ...)
{
  pmx_options *options = options_for(manner->strategy);
  const char *name, *value;
  va_list args;

  ck_assert_int_eq(pmx_options_set(options, "io", manner->io), PMX_OK);
  va_start(args, url);
  while ((name = va_arg(args, const char *))) {
    value = va_arg(args, const char *);
    ck_assert_msg(pmx_options_set(options, name, value) == PMX_OK, "%s",
                  pmx_options_error(options));
  }
  va_end(args);
  return open_client_with(url, options);
}

/* ---- told ---- */

void tell(void *ud, const pmx_reply *reply)
{
  struct told *t = ud;

  t->at_ms = pmx_now_ms();
  t->thread = pthread_self();
  if (t->inside)
    t->inside(t, reply);
  pmx_reply_free(t->reply);
  t->reply = pmx_reply_ref(reply);
  atomic_fetch_add(&t->times, 1);
}

void ask(pmx_client *client, struct told *t, const pmx_call *call, const char *format, ...)
{
  char command[256];
  const char *argv[8];
  int argc = 0;
  char *rest = NULL;
  pmx_status status;
  va_list args;

  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  for (char *word = strtok_r(command, " ", &rest); word && argc < 8;
       word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  t->client = client;
  status = pmx_async_argv(client, call, tell, t, argc, argv, NULL);
  ck_assert_msg(status == PMX_OK, "%s: %s", argv[0], pmx_status_str(status));
}

bool is_told(void *told)
{
  return atomic_load(&((struct told *)told)->times) > 0;
}

pmx_reply *outcome(struct told *t)
{
  pmx_reply *reply;

  ck_assert_msg(until(t->client, is_told, t, SOON_MS), "the callback did not come");
  ck_assert_int_eq(atomic_load(&t->times), 1);
  reply = t->reply;
  t->reply = NULL;
  atomic_store(&t->times, 0);
  return reply;
}

struct crowd {
  struct told *told;
  int n;
};

static bool is_told_wholly(void *arg)
{
  struct crowd *crowd = arg;

  while (crowd->n > 0 && is_told(&crowd->told[crowd->n - 1]))
    crowd->n--;
  return crowd->n == 0;
}

bool all_told(struct told *told, int n, int64_t timeout_ms)
{
  struct crowd crowd = {told, n};

  return n == 0 || until(told->client, is_told_wholly, &crowd, timeout_ms);
}

void told_clear(struct told *told, int n)
{
  for (int i = 0; i < n; i++) {
    ck_assert_msg(atomic_load(&told[i].times) <= 1, "callback %d of %d ran %d times", i, n,
                  atomic_load(&told[i].times));
    pmx_reply_free(told[i].reply);
    told[i].reply = NULL;
    atomic_store(&told[i].times, 0);
  }
}

/* ---- waiting ---- */

bool until(pmx_client *client, bool (*condition)(void *), void *arg, int64_t timeout_ms)
{
  struct pollfd ready = {pmx_client_fd(client), POLLIN, 0};
  int64_t end = now_ms() + timeout_ms;

  if (ready.fd < 0)
    return wait_for(condition, arg, timeout_ms);
  while (!condition(arg)) {
    if (now_ms() > end)
      return false;
    if (poll(&ready, 1, 5) > 0)
      pmx_dispatch(client, 0);
  }
  return true;
}

static bool never(void *arg)
{
  (void)arg;
  return false;
}

void pass(pmx_client *client, int64_t ms)
{
  until(client, never, NULL, ms);
}
