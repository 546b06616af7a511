/* SPDX-License-Identifier: BSD-3-Clause */
/* soaking.c - see soaking.h: the counters, marks, shelves, clients in their slots, and the faults
 * of the other side. libcheck's assertions are for the test's own thread: what is wrong is noted.
 */
#include "behaviour/soaking.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "harness/sock.h"

_Atomic uint64_t soak_called[SOAK_FUNCTION_COUNT], soak_orphans;

#define SOAK_NAME(name) #name,
static const char *const function_names[] = {SOAK_FUNCTIONS(SOAK_NAME)};

const char *soak_never_called(void)
{
  for (int i = 0; i < SOAK_FUNCTION_COUNT; i++) {
    if (atomic_load_explicit(&soak_called[i], memory_order_relaxed) == 0)
      return function_names[i];
  }
  if (atomic_load_explicit(&soak_orphans, memory_order_relaxed) == 0)
    return "an event function with PMX_EVENT_ORPHAN";
  return NULL;
}

void soak_wrong(struct soaking *s, const char *format, ...)
{
  va_list args;

  pthread_mutex_lock(&s->lock);
  if (s->wrong++ == 0) {
    va_start(args, format);
    vsnprintf(s->first, sizeof s->first, format, args);
    va_end(args);
  }
  pthread_mutex_unlock(&s->lock);
}

/* ---- marks ---- */

void mark_begin(struct mark *m, const char *doing)
{
  atomic_store_explicit(&m->since_ms, now_ms(), memory_order_relaxed);
  atomic_store_explicit(&m->doing, doing, memory_order_relaxed);
}

int64_t mark_end(struct mark *m)
{
  atomic_store_explicit(&m->doing, NULL, memory_order_relaxed);
  return now_ms() - atomic_load_explicit(&m->since_ms, memory_order_relaxed);
}

static int64_t mark_age(struct mark *m)
{
  return atomic_load_explicit(&m->doing, memory_order_relaxed)
             ? now_ms() - atomic_load_explicit(&m->since_ms, memory_order_relaxed)
             : 0;
}

static void mark_print(struct mark *m, const char *who, int i)
{
  const char *doing = atomic_load_explicit(&m->doing, memory_order_relaxed);

  dprintf(STDERR_FILENO, "  %s %d: %s for %" PRId64 " ms\n", who, i, doing ? doing : "-",
          mark_age(m));
}

static bool opened_hangs(struct soaking *s, bool print)
{
  bool hangs = false;
  int i = 0;

  pthread_mutex_lock(&s->lock);
  for (struct opened *o = s->opened; o; o = o->next, i++) {
    hangs = hangs || mark_age(&o->mark) > SOAK_HANG_MS;
    if (print && mark_age(&o->mark))
      mark_print(&o->mark, "callback of client", i);
  }
  pthread_mutex_unlock(&s->lock);
  return hangs;
}

void soak_watch(struct soaking *s)
{
  bool hangs = mark_age(&s->trouble) > SOAK_HANG_MS || opened_hangs(s, false);

  for (int i = 0; i <= SOAK_THREADS; i++)
    hangs = hangs || mark_age(&s->callers[i].mark) > SOAK_HANG_MS;
  if (!hangs)
    return;
  dprintf(STDERR_FILENO, "soak: HANG; POOLMUX_TEST_SEED=%" PRIu64 " repeats the epoch\n", s->seed);
  for (int i = 0; i <= SOAK_THREADS; i++)
    mark_print(&s->callers[i].mark, "thread", i);
  mark_print(&s->trouble, "trouble", 0);
  opened_hangs(s, true);
  abort();
}

/* ---- shelves ---- */

bool shelf_take(struct shelf *shelf, struct rng *rng, struct item *ret)
{
  size_t at = rng_below(rng, SOAK_SHELF);
  bool found = false;

  pthread_mutex_lock(&shelf->lock);
  for (size_t i = 0; i < SOAK_SHELF && !found; i++) {
    struct item *item = &shelf->items[(at + i) % SOAK_SHELF];

    found = item->thing != NULL;
    if (found) {
      *ret = *item;
      item->thing = NULL;
    }
  }
  pthread_mutex_unlock(&shelf->lock);
  return found;
}

bool shelf_put(struct shelf *shelf, const struct item *item)
{
  bool put = false;

  pthread_mutex_lock(&shelf->lock);
  for (size_t i = 0; i < SOAK_SHELF && !put; i++) {
    put = shelf->items[i].thing == NULL;
    if (put)
      shelf->items[i] = *item;
  }
  pthread_mutex_unlock(&shelf->lock);
  return put;
}

/* ---- user code of a client: log, events, login ---- */

static void on_log(void *ud, pmx_log_level level, const char *component, const char *message)
{
  struct opened *o = ud;

  inside_begin(o, "log");
  if (!component || !message || level > PMX_LOG_DEBUG)
    soak_wrong(o->s, "a log line of level %d without a text", (int)level);
  inside_act(o, atomic_fetch_add_explicit(&o->salt, 1, memory_order_relaxed));
  inside_end(o);
}

/* What a list of the test gives: its name, twice. */
static bool is_taken(const pmx_reply *reply)
{
  const char *list = pmx_reply_str(pmx_reply_at(reply, 0), NULL);
  const char *element = pmx_reply_str(pmx_reply_at(reply, 1), NULL);

  return list && element && strncmp(list, "soak:l:", 7) == 0 && strcmp(list, element) == 0;
}

static void on_event(void *ud, const pmx_event *event)
{
  struct opened *o = ud;
  bool orphan = event->type == PMX_EVENT_ORPHAN;

  inside_begin(o, "event");
  if (event->size < sizeof *event || event->type > PMX_EVENT_DROPPED)
    soak_wrong(o->s, "an event of type %d", (int)event->type);
  if (orphan ? !is_taken(event->reply) : event->reply != NULL)
    soak_wrong(o->s, "an event of type %d has a wrong reply: %s", (int)event->type, event->detail);
  if (orphan)
    atomic_fetch_add_explicit(&soak_orphans, 1, memory_order_relaxed);
  inside_act(o, atomic_fetch_add_explicit(&o->salt, 1, memory_order_relaxed));
  inside_end(o);
}

static void *on_begin(void *ud, const pmx_trace_call *call)
{
  struct opened *o = ud;

  if (call->size < sizeof *call || !call->command || !call->place || !call->reason)
    soak_wrong(o->s, "a trace of nothing");
  atomic_fetch_add_explicit(&o->spans, 1, memory_order_relaxed);
  return o;
}

static void on_end(void *ud, void *span, const pmx_trace_call *call, const pmx_reply *reply)
{
  struct opened *o = ud;

  if (span != o || !call->command || !reply)
    soak_wrong(o->s, "a trace that ends what it did not begin");
  atomic_fetch_sub_explicit(&o->spans, 1, memory_order_relaxed);
}

/* One login in 32 fails. */
static int on_login(void *ud, char *user, size_t user_size, char *password, size_t password_size)
{
  struct opened *o = ud;
  uint64_t salt = atomic_fetch_add_explicit(&o->salt, 1, memory_order_relaxed);

  atomic_fetch_add_explicit(&o->asked, 1, memory_order_relaxed);
  if (user_size && password_size)
    user[0] = password[0] = '\0';
  atomic_fetch_sub_explicit(&o->asked, 1, memory_order_release);
  return salt % 32 == 7 ? -1 : 0;
}

/* No key here is encrypted: never asked. */
static int on_passphrase(void *ud, char *passphrase, size_t size)
{
  struct opened *o = ud;

  (void)passphrase, (void)size;
  soak_wrong(o->s, "the passphrase function was called");
  return -1;
}

/* ---- clients ---- */

static const char *any_url(struct caller *w)
{
  switch (rng_below(&w->rng, 6)) {
  case 0:
    return server_url(w->s->server, SERVER_TCP);
  case 1:
    return server_url(w->s->server, SERVER_UNIX);
  case 2:
    return server_url(w->s->server, SERVER_TLS);
  default:
    return proxy_url(w->s->proxy);
  }
}

static struct opened *opened_new(struct caller *w)
{
  struct opened *o = harness_alloc(sizeof *o);

  o->s = w->s;
  o->salt = rng_next(&w->rng);
  pthread_mutex_lock(&w->s->lock);
  o->next = w->s->opened;
  w->s->opened = o;
  pthread_mutex_unlock(&w->s->lock);
  return o;
}

static void check_open_failed(struct caller *w, pmx_reply *err)
{
  pmx_cause cause = CALL(pmx_reply_cause)(err);
  pmx_status status = CALL(pmx_reply_status)(err);

  if (status != PMX_NOT_RUN ||
      (cause != PMX_CAUSE_CONNECT && cause != PMX_CAUSE_TIMEOUT && cause != PMX_CAUSE_AUTH &&
       cause != PMX_CAUSE_LOST && cause != PMX_CAUSE_CIRCUIT_OPEN))
    soak_wrong(w->s, "pmx_open: %s/%s: %s", pmx_status_str(status), pmx_cause_str(cause),
               pmx_reply_error(err));
  CALL(pmx_reply_free)(err);
}

struct opened *client_open(struct caller *w)
{
  static const pmx_trace trace = {sizeof trace, on_begin, on_end};
  struct opened *o = opened_new(w);
  pmx_options *options = CALL(pmx_options_new)();
  const char *url = any_url(w);
  pmx_reply *err = NULL;
  pmx_client *client;

  options_fill(&w->rng, options);
  if (rng_below(&w->rng, 2))
    CALL(pmx_options_set_log)(options, on_log, PMX_LOG_DEBUG, o);
  if (rng_below(&w->rng, 2))
    CALL(pmx_options_set_events)(options, on_event, o);
  if (rng_below(&w->rng, 2))
    CALL(pmx_options_set_trace)(options, &trace, o);
  if (rng_below(&w->rng, 4) == 0)
    CALL(pmx_options_set_credentials)(options, on_login, o);
  if (rng_below(&w->rng, 4) == 0)
    CALL(pmx_options_set_passphrase)(options, on_passphrase, o);
  trust_for(options, url);
  o->tls = sock_url_is_tls(url);
  if (o->tls)
    options_fill_tls(&w->rng, options);
  mark_begin(&w->mark, "pmx_open");
  client = CALL(pmx_open)(url, options, &err);
  if (mark_end(&w->mark) > SOAK_SLACK_MS)
    soak_wrong(w->s, "pmx_open took longer than %d ms", SOAK_SLACK_MS);
  CALL(pmx_options_free)(options);
  if ((client == NULL) != (err != NULL))
    soak_wrong(w->s, "pmx_open: a client and a failure, or neither");
  if (!client) {
    check_open_failed(w, err);
    return NULL;
  }
  atomic_store(&o->client, client);
  return o;
}

struct opened *client_take(struct caller *w)
{
  struct slot *slot = &w->s->slots[rng_below(&w->rng, SOAK_SLOTS)];
  struct opened *o;

  pthread_mutex_lock(&slot->lock);
  o = slot->opened;
  if (o)
    CALL(pmx_ref)(o->client);
  pthread_mutex_unlock(&slot->lock);
  return o;
}

void client_drop(struct opened *o)
{
  CALL(pmx_unref)(o->client);
}

void client_put(struct slot *slot, struct opened *o, struct opened **old)
{
  pthread_mutex_lock(&slot->lock);
  *old = slot->opened;
  slot->opened = o;
  pthread_mutex_unlock(&slot->lock);
}

/* ---- faults ---- */

static void hold_up(struct soaking *s, int64_t ms)
{
  server_pause(s->server);
  sleep_ms(ms);
  server_resume(s->server);
}

static void stall(struct soaking *s, int64_t ms, enum proxy_way way)
{
  proxy_stall(s->proxy, way, true);
  sleep_ms(ms);
  proxy_stall(s->proxy, way, false);
}

static void refuse(struct soaking *s, int64_t ms)
{
  proxy_refuse(s->proxy, true);
  proxy_reset(s->proxy);
  sleep_ms(ms);
  proxy_refuse(s->proxy, false);
}

static void silence(struct soaking *s, int64_t ms)
{
  proxy_silence(s->proxy, true);
  sleep_ms(ms);
  proxy_silence(s->proxy, false);
}

void soak_trouble(struct soaking *s, struct rng *rng)
{
  enum proxy_way way = rng_below(rng, 2) ? PROXY_TO_SERVER : PROXY_TO_CLIENT;
  int64_t ms = (int64_t)rng_below(rng, 30);

  switch (rng_below(rng, 10)) {
  case 0:
    hold_up(s, ms);
    break;
  case 1:
    stall(s, ms, way);
    break;
  case 2:
    proxy_cut(s->proxy, way, (int64_t)rng_below(rng, 3000), 1 + (unsigned)rng_below(rng, 3));
    break;
  case 3:
    proxy_delay(s->proxy, way, (int)rng_below(rng, 5), (int)rng_below(rng, 10));
    break;
  case 4:
    proxy_slice(s->proxy, way, rng_below(rng, 2) ? 1 + rng_below(rng, 50) : 0);
    break;
  case 5:
    refuse(s, ms);
    break;
  case 6:
    silence(s, ms);
    break;
  case 7:
    proxy_heal(s->proxy);
    break;
  default:
    server_kill_clients(s->server);
    break;
  }
  sleep_ms((int64_t)rng_below(rng, 25));
}
