/* SPDX-License-Identifier: BSD-3-Clause */
/* router.c - the order of the questions: what the caller asked for, whether it ends what others
 * wait for, blocks, holds up its connection, carries much, is known at all; else a lane. Knows no
 * strategy's insides, and nothing of who is refused what. */
#include "route/router.h"
#include "base/clock.h"
#include "base/text.h"

int router_is_unknown(const struct route *route)
{
  return route->command[0] == '?' && !(route->flags & ROUTE_PARKS);
}

static int is_large(const struct route *route, size_t size, const struct config *config)
{
  return (route->flags & ROUTE_BULK) || size > (uint64_t)config->hybrid_bulk_request;
}

static int is_large_batch(const struct route *route, size_t size, const struct config *config)
{
  return (route->flags & (ROUTE_BULK | ROUTE_WAITS)) ||
         route->batch > (uint64_t)config->hybrid_batch_commands ||
         size > (uint64_t)config->hybrid_batch_size;
}

/* Not in a batch that holds up or fills its connection, of which there is one for everybody. */
static int is_control(const struct route *route, size_t size, const struct config *config)
{
  return (route->flags & ROUTE_CONTROL) && !(route->flags & (ROUTE_BLOCKING | ROUTE_PARKS)) &&
         !(route->batch && is_large_batch(route, size, config));
}

static enum route_reason reason_of(const struct route *route, size_t size,
                                   const struct config *config)
{
  if (route->wish != WISH_NONE)
    return REASON_WISH;
  if (is_control(route, size, config))
    return REASON_CONTROL;
  if (route->flags & ROUTE_BLOCKING)
    return REASON_BLOCKS;
  if (route->flags & ROUTE_PARKS)
    return REASON_PARKS;
  if (route->batch)
    return is_large_batch(route, size, config) ? REASON_BATCH : REASON_ORDINARY;
  if (is_large(route, size, config))
    return REASON_LARGE;
  return router_is_unknown(route) ? REASON_UNKNOWN : REASON_ORDINARY;
}

void router_place(struct route *route, size_t size, const struct config *config)
{
  static const uint8_t places[ROUTE_REASONS] = {
      [REASON_ORDINARY] = PLACE_LANE,   [REASON_BLOCKS] = PLACE_POOL, [REASON_PARKS] = PLACE_POOL,
      [REASON_LARGE] = PLACE_POOL,      [REASON_BATCH] = PLACE_POOL,  [REASON_UNKNOWN] = PLACE_POOL,
      [REASON_CONTROL] = PLACE_CONTROL, [REASON_LEARNED] = PLACE_POOL};

  route->reason = (uint8_t)reason_of(route, size, config);
  route->place = route->reason == REASON_WISH
                     ? (route->wish == WISH_SHARED ? PLACE_LANE : PLACE_POOL)
                     : places[route->reason];
}

/* ---- in words ---- */

const char *router_place_word(const struct route *route)
{
  static const char *const words[] = {
      [PLACE_LANE] = "lane", [PLACE_POOL] = "dedicated", [PLACE_CONTROL] = "control"};

  return words[route->place];
}

const char *router_reason_word(const struct route *route)
{
  static const char *const words[ROUTE_REASONS] = {
      [REASON_ORDINARY] = "ordinary", [REASON_WISH] = "asked",      [REASON_BLOCKS] = "blocks",
      [REASON_PARKS] = "parks",       [REASON_LARGE] = "large",     [REASON_BATCH] = "batch",
      [REASON_CONTROL] = "control",   [REASON_UNKNOWN] = "unknown", [REASON_LEARNED] = "learned"};

  return words[route->reason];
}

static void add_wait(struct text *text, const struct route *route)
{
  text_add(text, "blocks ");
  if (route->block_ms == ROUTE_BLOCK_FOREVER) {
    text_add(text, "until it is served");
  } else {
    text_add(text, "for up to ");
    text_add_ms(text, time_from_ms(route->block_ms));
  }
}

static void add_size(struct text *text, const struct route *route, size_t size,
                     const struct config *config)
{
  if (route->flags & ROUTE_BULK)
    text_add(text, "is answered with very much");
  else
    text_add(text, "has %zu bytes, and hybrid.bulk_request is %lld", size,
             (long long)config->hybrid_bulk_request);
}

static void add_reason(struct text *text, const struct route *route, size_t size,
                       const struct config *config)
{
  switch ((enum route_reason)route->reason) {
  case REASON_ORDINARY:
    text_add(text, "is an ordinary command");
    break;
  case REASON_WISH:
    text_add(text, "was asked to go there");
    break;
  case REASON_BLOCKS:
    add_wait(text, route);
    break;
  case REASON_PARKS:
    text_add(text, "may hold up its connection");
    break;
  case REASON_LARGE:
    add_size(text, route, size, config);
    break;
  case REASON_BATCH:
    text_add(text, "has %u commands and %zu bytes", route->batch, size);
    break;
  case REASON_CONTROL:
    text_add(text, "ends what others wait for");
    break;
  case REASON_UNKNOWN:
    text_add(text, "is not known here, and the server has not said that it may share");
    break;
  case REASON_LEARNED:
    text_add(text, "has been answered with much");
    break;
  case ROUTE_REASONS:
    break;
  }
}

void router_explain(const struct route *route, const char *name, size_t size,
                    const struct config *config, struct text *text)
{
  text_add(text, "%s: %s ", router_place_word(route), name);
  add_reason(text, route, size, config);
}
