/* SPDX-License-Identifier: BSD-3-Clause */
/* scan.c - goes through keys, hashes, sets and sorted sets with SCAN and its kin. Owns the page
 * that was read last: its cursor is where the next one begins, its elements are lent one by one.
 * Knows nothing of connections: any of them will do for any page.
 *
 * A page replaces the one before only when it was understood as a whole, so whatever fails leaves
 * the scan where it was; and since these commands only read, the same page may be asked for again.
 * A cursor is a word of the server's, sent back as it came. */
#include "api/series.h"
#include <string.h>
#include <strings.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"

enum { ARGS_MAX = 7 /* HSCAN key cursor MATCH pattern COUNT n */, QUOTED = 64 };

struct kind {
  const char *command;
  const char *what; /* its key is that of; NULL: it has none */
  int pairs;        /* two strings of the reply are one element */
};

static const struct kind kinds[] = {
    {"SCAN", NULL, 0}, {"HSCAN", "hash", 1}, {"SSCAN", "set", 0}, {"ZSCAN", "sorted set", 1}};

struct pmx_scan {
  pmx_client *client; /* a reference */
  const struct kind *kind;
  pmx_reply *bad;   /* why it can never begin, or NULL */
  pmx_reply *page;  /* cursor and elements; NULL: none yet */
  pmx_reply *pairs; /* in the page's arena, or NULL */
  size_t at, count; /* elements of the page: lent, and in all */
  int argc, cursor; /* cursor: which of the arguments */
  const char *argv[ARGS_MAX];
  size_t len[ARGS_MAX];
  char number[16];
  char bytes[]; /* key and pattern */
};

/* ---- making one ---- */

static const struct kind *kind_of(const char *command)
{
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strcasecmp(command, kinds[i].command) == 0)
      return &kinds[i];
  }
  return NULL;
}

static pmx_reply *bad_text(const char *name, const char *bytes, size_t len, const char *valid)
{
  struct text text;
  char buf[512];

  text_init(&text, buf, sizeof buf);
  text_add(&text, "%s is \"", name);
  text_add_quoted(&text, bytes, len, QUOTED);
  text_add(&text, "\": %s", valid);
  return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, buf);
}

static pmx_reply *check(const struct kind *kind, const char *command, const char *key,
                        size_t key_len, int count)
{
  if (!kind)
    return bad_text("command", command, strlen(command),
                    "NULL, SCAN, HSCAN, SSCAN and ZSCAN are valid");
  if (kind->what && !key)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "key is NULL: %s needs the key of a %s",
                         kind->command, kind->what);
  if (!kind->what && key)
    return bad_text("key", key, key_len, "SCAN goes through all keys, only NULL is valid");
  if (count < 0)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE,
                         "count is %d: 0, which leaves it to the server, or more is valid", count);
  return NULL;
}

static void add(struct pmx_scan *scan, const char *bytes, size_t len)
{
  scan->argv[scan->argc] = bytes;
  scan->len[scan->argc++] = len;
}

static void add_words(struct pmx_scan *scan, size_t key_len, size_t match_len, int match, int count)
{
  struct text text;

  scan->argc = 0;
  add(scan, scan->kind->command, strlen(scan->kind->command));
  if (scan->kind->what)
    add(scan, scan->bytes, key_len);
  scan->cursor = scan->argc;
  add(scan, "0", 1);
  if (match) {
    add(scan, "MATCH", 5);
    add(scan, scan->bytes + key_len, match_len);
  }
  text_init(&text, scan->number, sizeof scan->number);
  text_add(&text, "%d", count);
  if (count > 0) {
    add(scan, "COUNT", 5);
    add(scan, scan->number, text.len);
  }
}

pmx_scan *pmx_scan_new(pmx_client *c, const char *command, const char *key, size_t key_len,
                       const char *match, size_t match_len, int count)
{
  const struct kind *kind = command ? kind_of(command) : &kinds[0];
  pmx_scan *scan;

  key_len = key ? key_len : 0;
  match_len = match ? match_len : 0;
  if (key_len > PTRDIFF_MAX / 4 || match_len > PTRDIFF_MAX / 4)
    return NULL;
  scan = mem_zalloc(sizeof *scan + key_len + match_len);
  if (!scan)
    return NULL;
  scan->client = c ? pmx_ref(c) : NULL;
  scan->bad = check(kind, command, key, key_len, count);
  if (scan->bad)
    return scan;
  scan->kind = kind;
  if (key_len)
    memcpy(scan->bytes, key, key_len);
  if (match_len)
    memcpy(scan->bytes + key_len, match, match_len);
  add_words(scan, key_len, match_len, match != NULL, count);
  return scan;
}

void pmx_scan_free(pmx_scan *scan)
{
  if (!scan)
    return;
  pmx_reply_free(scan->page);
  pmx_reply_free(scan->bad);
  if (scan->client)
    pmx_unref(scan->client);
  mem_free(scan);
}

/* ---- a page ---- */

static int is_text(const pmx_reply *reply)
{
  pmx_type type = pmx_reply_type(reply);

  return type == PMX_TYPE_STRING || type == PMX_TYPE_SIMPLE;
}

/* A score may be a number to a server that speaks RESP3. */
static int is_value(const pmx_reply *reply)
{
  pmx_type type = pmx_reply_type(reply);

  return is_text(reply) || type == PMX_TYPE_DOUBLE || type == PMX_TYPE_INTEGER;
}

/* NULL, or what is wrong with it. */
static const char *fault(const struct kind *kind, const pmx_reply *page)
{
  const pmx_reply *cursor = pmx_reply_at(page, 0), *elements = pmx_reply_at(page, 1);

  if (pmx_reply_type(page) != PMX_TYPE_ARRAY || pmx_reply_len(page) != 2)
    return "it is not an array of two";
  if (!is_text(cursor) || cursor->len == 0)
    return "its first element is no cursor";
  if (pmx_reply_type(elements) != PMX_TYPE_ARRAY)
    return "its second element is no array";
  if (kind->pairs && elements->len % 2)
    return "its elements are no pairs";
  for (size_t i = 0; i < elements->len; i++) {
    if (!is_value(elements->elems[i]))
      return "an element is no string";
  }
  return NULL;
}

/* Nobody else has seen the page yet, so its arena may grow: a pair can be kept like any element. */
static pmx_reply *make_pairs(const pmx_reply *page, pmx_reply **ret)
{
  const pmx_reply *elements = page->elems[1];
  size_t n = elements->len / 2;
  pmx_reply *pairs = reply_tree_alloc(page->tree, n * sizeof *pairs);

  if (!pairs && reply_tree_over(page->tree))
    return reply_failure_text(PMX_UNKNOWN, PMX_CAUSE_TOO_LARGE,
                              "the pairs of a page do not fit into reply.max_size: ask for less at "
                              "a time with count");
  if (!pairs)
    return reply_failure_text(PMX_UNKNOWN, PMX_CAUSE_NOMEM,
                              "out of memory for the pairs of a page");
  for (size_t i = 0; i < n; i++)
    pairs[i] = (pmx_reply){
        .tree = page->tree, .type = PMX_TYPE_ARRAY, .elems = elements->elems + 2 * i, .len = 2};
  *ret = pairs;
  return NULL;
}

/* Takes the page over, or frees it and says why not. */
static pmx_reply *turn_to(struct pmx_scan *scan, pmx_reply *page)
{
  const char *wrong = fault(scan->kind, page);
  pmx_reply *pairs = NULL, *failure = NULL;

  if (wrong)
    failure = reply_failure(PMX_UNKNOWN, PMX_CAUSE_PROTOCOL, "the answer to %s is none: %s",
                            scan->kind->command, wrong);
  else if (scan->kind->pairs)
    failure = make_pairs(page, &pairs);
  if (failure) {
    pmx_reply_free(page);
    return failure;
  }
  pmx_reply_free(scan->page);
  scan->page = page;
  scan->pairs = pairs;
  scan->at = 0;
  scan->count = page->elems[1]->len / (scan->kind->pairs ? 2 : 1);
  scan->argv[scan->cursor] = page->elems[0]->str;
  scan->len[scan->cursor] = page->elems[0]->len;
  return NULL;
}

static pmx_reply *next_page(struct pmx_scan *scan, struct series *series)
{
  struct args args;
  pmx_reply *reply;

  args_init(&args);
  reply = args_from_argv(&args, scan->argc, scan->argv, scan->len);
  if (!reply)
    reply = series_send(series, &args);
  args_clear(&args);
  if (!pmx_ok(reply))
    return reply;
  series->attempts = (struct attempts){0}; /* whatever they did, it is settled */
  return turn_to(scan, reply);
}

/* ---- going through them ---- */

static int is_last(const struct pmx_scan *scan)
{
  return scan->page && scan->len[scan->cursor] == 1 && scan->argv[scan->cursor][0] == '0';
}

/* Pages without an element are frequent with MATCH: they are passed over here. */
static pmx_reply *refill(struct pmx_scan *scan, const pmx_call *call)
{
  struct series series;
  pmx_reply *failure = series_begin(&series, scan->client, call, pmx_reply_ref(scan->bad));

  while (!failure && scan->at == scan->count && !is_last(scan))
    failure = next_page(scan, &series);
  series_end(&series, failure ? failure : scan->page);
  return failure;
}

static const pmx_reply *element(const struct pmx_scan *scan, size_t i)
{
  return scan->pairs ? &scan->pairs[i] : scan->page->elems[1]->elems[i];
}

const pmx_reply *pmx_scan_next(pmx_scan *scan, const pmx_call *call, pmx_reply **err)
{
  int cancel_state = thread_cancel_disable();
  const pmx_reply *found = NULL;
  pmx_reply *failure = NULL;

  if (!scan)
    failure = reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory: there is no scan");
  else if (scan->at == scan->count && !is_last(scan))
    failure = refill(scan, call);
  if (!failure && scan->at < scan->count)
    found = element(scan, scan->at++);
  if (err)
    *err = failure;
  else
    pmx_reply_free(failure);
  thread_cancel_restore(cancel_state);
  return found;
}
