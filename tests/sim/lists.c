/* SPDX-License-Identifier: BSD-3-Clause */
/* lists.c - the model server's lists, and who is blocked for one: served in the order they came, or
 * ended by their time, by CLIENT UNBLOCK, with their connection. A list's number stands behind the
 * q in keys that are otherwise different, see execute.c; an element is the key it was pushed with.
 */
#include "sim/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKED_MAX = 512 };

struct element {
  char key[KEY_SIZE];
};

static struct list {
  struct element *elements; /* the last one was pushed last */
  size_t count, cap;
} lists[LISTS];
static struct session *blocked[BLOCKED_MAX]; /* who came first is first */
static unsigned blocked_count;

void lists_reset(void)
{
  for (unsigned i = 0; i < LISTS; i++)
    free(lists[i].elements);
  memset(lists, 0, sizeof lists);
  blocked_count = 0;
}

static struct list *list_of(const char *key)
{
  const char *at = strchr(key, 'q');
  unsigned long number = at ? strtoul(at + 1, NULL, 10) : LISTS;

  if (number >= LISTS)
    fail("server: no list \"%s\"", key);
  return &lists[number];
}

/* ---- elements ---- */

static void push(struct list *l, const char *key)
{
  if (l->count == l->cap) {
    l->cap = l->cap ? l->cap * 2 : 8;
    l->elements = realloc(l->elements, l->cap * sizeof *l->elements);
  }
  snprintf(l->elements[l->count++].key, KEY_SIZE, "%s", key);
}

size_t lists_push(const char *key)
{
  struct list *l = list_of(key);

  push(l, key);
  return l->count;
}

/* Into the answer of the session that asked with `key`. */
static void give(struct session *s, struct list *l, const char *key)
{
  const char *element = l->elements[l->count - 1].key;

  oracle_executed(key);
  oracle_popped(key, element);
  if (mutates(MUTANT_DROPPED)) {
    say(s, "*-1\r\n");
  } else {
    say(s, "*2\r\n");
    say_string(s, key);
    say_value(s, element);
  }
  if (!mutates(MUTANT_GIVEN_TWICE))
    l->count--;
}

/* ---- who is blocked ---- */

unsigned lists_blocked(unsigned number)
{
  unsigned n = 0;

  for (unsigned i = 0; i < blocked_count; i++)
    n += list_of(blocked[i]->wants) == &lists[number];
  return n;
}

void lists_leave(struct session *s)
{
  unsigned i = 0;

  if (!s->blocked)
    return;
  s->blocked = 0;
  while (blocked[i] != s)
    i++;
  memmove(blocked + i, blocked + i + 1, (--blocked_count - i) * sizeof blocked[0]);
}

void lists_serve(void)
{
  for (unsigned i = 0; i < blocked_count;) {
    struct session *s = blocked[i];
    struct list *l = list_of(s->wants);

    if (!stream_finished(s->stream) && l->count == 0) {
      i++;
      continue;
    }
    lists_leave(s);
    if (stream_finished(s->stream))
      continue;
    give(s, l, s->wants);
    server_says(s);
  }
}

static void say_nothing_came(struct session *s)
{
  oracle_executed(s->wants);
  say(s, "*-1\r\n");
}

static void time_is_up(void *arg)
{
  struct session *s = stream_session(arg);

  if (!s->blocked || sim_now() < s->blocked_until)
    return;
  lists_leave(s);
  say_nothing_came(s);
  server_says(s);
}

void lists_restart(void)
{
  while (blocked_count)
    lists_leave(blocked[0]);
}

/* ---- elements from outside ---- */

void lists_feed(unsigned number)
{
  char key[KEY_SIZE];

  snprintf(key, sizeof key, "q%u:%u", number, oracle_new_call());
  oracle_executed(key);
  push(&lists[number], key);
  lists_serve();
}

/* When all is well, nobody is blocked for long: another client of the server pushes something. */
static void comfort(void *arg)
{
  struct session *s = stream_session(arg);

  if (!s->blocked || list_of(s->wants) == &lists[LIST_HELD])
    return;
  lists_feed((unsigned)(list_of(s->wants) - lists));
  if (s->blocked)
    at(sim_now() + 10 * SIM_MS, comfort, arg, 0);
}

static void comfort_soon(struct session *s)
{
  if (list_of(s->wants) != &lists[LIST_HELD])
    at(sim_now() + between(0, 50 * SIM_MS), comfort, s->stream, 0);
}

void lists_heal(void)
{
  for (unsigned i = 0; i < blocked_count; i++)
    comfort_soon(blocked[i]);
}

/* ---- BLPOP ---- */

static void block_for(struct session *s, const char *key, int64_t wait)
{
  if (blocked_count == BLOCKED_MAX)
    fail("server: too many are blocked");
  trace("conn %u: blocked", stream_id(s->stream));
  snprintf(s->wants, sizeof s->wants, "%s", key);
  s->blocked = 1;
  blocked[blocked_count++] = s;
  s->blocked_until = wait ? sim_now() + wait : SIM_FOREVER;
  if (wait)
    at(s->blocked_until, time_is_up, s->stream, 0);
  if (!faults.on)
    comfort_soon(s);
}

int lists_pop(struct session *s, const char *key, int64_t wait)
{
  struct list *l = list_of(key);

  if (l->count)
    give(s, l, key);
  else if (!s->gone)
    block_for(s, key, wait);
  return !s->blocked && !s->gone;
}

/* ---- CLIENT UNBLOCK ---- */

/* It was held up by CLIENT PAUSE, and runs all the same, as some servers have it. */
static void runs_all_the_same(void *arg)
{
  struct session *s = stream_session(arg);
  char key[KEY_SIZE];

  s->paused = 0;
  memcpy(key, s->wants, sizeof key);
  if (!s->gone && !stream_finished(s->stream) && lists_pop(s, key, 20 * SIM_MS))
    server_says(s);
}

static void say_unblocked(struct session *s)
{
  oracle_refused(s->wants);
  if (mutates(MUTANT_TAKEN_BACK)) {
    push(list_of(s->wants), s->wants);
    give(s, list_of(s->wants), s->wants);
    s->out_len = 0;
  }
  say(s, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  if (!faults.on || !chance(faults.paused))
    return;
  s->paused = 1;
  at(sim_now() + between(0, 300 * SIM_MS), runs_all_the_same, s->stream, 0);
}

int lists_unblock(unsigned id, int error)
{
  for (unsigned i = 0; i < blocked_count; i++) {
    struct session *s = blocked[i];

    if (s->id != id || stream_finished(s->stream))
      continue;
    lists_leave(s);
    if (error)
      say_unblocked(s);
    else
      say_nothing_came(s);
    server_says(s);
    return 1;
  }
  return 0;
}

