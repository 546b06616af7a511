/* SPDX-License-Identifier: BSD-3-Clause */
/* unknown.c - see unknown.h. Until the answer has come, and for good when there is none, or when
 * the command blocks, such a command gets a connection of its own: that is slower and never wrong.
 *
 *   NEW → ASKED → SHARES | OWN        ASKED → NEW: the question did not reach the server
 *
 * Names are kept for as long as the runtime: what the server did not know stays OWN, since a module
 * may be loaded later. A slot is filled once, without a lock; when a name finds no free slot it
 * stays unknown. The question is a call of its own that nobody waits for; its callback runs before
 * the runtime is destroyed. */
#include "api/unknown.h"
#include <string.h>
#include "api/async.h"
#include "base/mem.h"
#include "call/reply.h"

enum { NAME_MAX_BYTES = 48, PROBES = 8 };
enum unknown_state { NEW, ASKED, SHARES, OWN };

struct unknown {
  _Atomic int state;
  uint8_t len;
  char name[NAME_MAX_BYTES]; /* upper case */
};

static int upper(const char *name, size_t len, char ret[NAME_MAX_BYTES])
{
  if (len > NAME_MAX_BYTES)
    return 0;
  for (size_t i = 0; i < len; i++)
    ret[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - ('a' - 'A') : name[i]);
  return 1;
}

static size_t hash(const char *name, size_t len)
{
  uint32_t h = 2166136261U; /* FNV-1a */

  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)name[i]) * 16777619U;
  return h;
}

static int is_named(const struct unknown *u, const char *name, size_t len)
{
  return u->len == len && memcmp(u->name, name, len) == 0;
}

/* The entry of a name in upper case, or NULL; *free_slot: where it may be put, or -1. */
static struct unknown *find(const struct unknowns *all, const char *name, size_t len,
                            int *free_slot)
{
  size_t at = hash(name, len);

  *free_slot = -1;
  for (size_t i = 0; i < PROBES; i++) {
    size_t slot = (at + i) % UNKNOWN_SLOTS;
    struct unknown *u = atomic_load_explicit(&all->slots[slot], memory_order_acquire);

    if (!u) {
      *free_slot = (int)slot;
      return NULL;
    }
    if (is_named(u, name, len))
      return u;
  }
  return NULL;
}

/* NULL: no room or no memory. */
static struct unknown *find_or_add(struct unknowns *all, const char *name, size_t len)
{
  struct unknown *u, *added = NULL, *taken = NULL;
  int slot;

  while (!(u = find(all, name, len, &slot)) && slot >= 0) {
    if (!added)
      added = mem_zalloc(sizeof *added);
    if (!added)
      return NULL;
    added->len = (uint8_t)len;
    memcpy(added->name, name, len);
    taken = NULL;
    if (atomic_compare_exchange_strong(&all->slots[slot], &taken, added))
      return added;
  }
  mem_free(added);
  return u;
}

static void apply(const struct unknown *u, struct route *route)
{
  if (u && atomic_load_explicit(&u->state, memory_order_acquire) == SHARES) {
    route->place = PLACE_LANE;
    route->reason = REASON_ORDINARY;
  }
}

/* ---- asking ---- */

static int has_flag(const pmx_reply *flags, const char *flag)
{
  for (size_t i = 0; i < pmx_reply_len(flags); i++) {
    const char *text = pmx_reply_str(pmx_reply_at(flags, i), NULL);

    if (text && strcmp(text, flag) == 0)
      return 1;
  }
  return 0;
}

/* Facts: COMMAND INFO and its flags, redis.io/commands/command. */
static enum unknown_state judge(const pmx_reply *info)
{
  const pmx_reply *flags = pmx_reply_at(info, 2);

  if (pmx_reply_len(flags) == 0 || has_flag(flags, "blocking") || has_flag(flags, "pubsub"))
    return OWN;
  return has_flag(flags, "noscript") && has_flag(flags, "admin") ? OWN : SHARES;
}

/* 0: it may be answered another time. */
static int is_final(const pmx_reply *reply)
{
  if (pmx_reply_status(reply) == PMX_SERVER_ERROR)
    return reply_is_code(reply, "NOPERM") || reply_is_code(reply, "ERR");
  return pmx_reply_cause(reply) == PMX_CAUSE_PROTOCOL;
}

/* Thread: where callbacks run. */
static void answered(void *ud, const pmx_reply *reply)
{
  struct unknown *u = ud;
  enum unknown_state state = OWN;

  if (pmx_reply_status(reply) == PMX_OK)
    state = judge(pmx_reply_at(reply, 0));
  else if (!is_final(reply))
    state = NEW;
  atomic_store_explicit(&u->state, state, memory_order_release);
}

static void ask(pmx_client *c, struct unknown *u)
{
  const char *const argv[] = {"COMMAND", "INFO", u->name};
  const size_t len[] = {7, 4, u->len};
  struct async_target target = {.fn = answered, .ud = u, .internal = 1};
  int state = NEW;
  struct args args;
  pmx_reply *failure;

  if (!atomic_compare_exchange_strong(&u->state, &state, ASKED))
    return;
  args_init(&args);
  failure = async_start(c, NULL, &args, args_from_argv(&args, 3, argv, len), &target);
  args_clear(&args);
  if (failure)
    atomic_store(&u->state, NEW);
  pmx_reply_free(failure);
}

void unknown_settle(pmx_client *c, struct unknowns *all, const char *name, size_t len,
                    struct route *route)
{
  char text[NAME_MAX_BYTES];
  struct unknown *u = upper(name, len, text) ? find_or_add(all, text, len) : NULL;

  if (u)
    ask(c, u);
  apply(u, route);
}

void unknown_look(const struct unknowns *all, const char *name, size_t len, struct route *route)
{
  char text[NAME_MAX_BYTES];
  int slot;

  apply(upper(name, len, text) ? find(all, text, len, &slot) : NULL, route);
}

void unknowns_destroy(struct unknowns *all)
{
  for (size_t i = 0; i < UNKNOWN_SLOTS; i++)
    mem_free(atomic_load(&all->slots[i]));
}
