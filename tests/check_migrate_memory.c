/* SPDX-License-Identifier: BSD-3-Clause */
/* check_migrate_memory.c - tests libpoolmux-hiredis: all memory of a converted reply is hiredis' to
 * free, and when it runs out, at whichever allocation, nothing is left lying.
 *
 * Since 1.0 hiredis has allocators that can be replaced, so that each block is seen to come and go.
 * With 0.14 it has malloc: the calls of what is linked with this program are wrapped, and where
 * freeReplyObject is called the reply is taken off the list of blocks by its rules. That it keeps
 * to them is for the sanitizers and for valgrind to say. */
#include <poolmux/hiredis.h>
#include "harness/checks.h"
#include "harness/torture.h"
#include "migrate_nodes.h"

/* ---- memory of hiredis: counted, and made to fail ---- */

enum { BLOCKS = 1024 };
static const void *blocks[BLOCKS]; /* given out and not freed, while `failing` */
static size_t block_count;
static uint64_t asked, bad;
static int bad_sticky, failing;

static int refused(void)
{
  asked++;
  return asked == bad || (bad_sticky && asked > bad);
}

static void fail_at(uint64_t n, int sticky)
{
  failing = n != 0;
  if (n == 0) /* the count stays readable */
    return;
  asked = 0;
  bad = n;
  bad_sticky = sticky;
}

static uint64_t asked_for(void)
{
  return asked;
}

static void *note_block(void *block)
{
  if (!block)
    return NULL;
  if (block_count == BLOCKS) { /* Check allocates, too: not while that fails */
    failing = 0;
    ck_abort_msg("more than %d blocks", BLOCKS);
  }
  blocks[block_count++] = block;
  return block;
}

/* 1: it was on the list. */
static int forget_block(const void *block)
{
  for (size_t i = 0; block && i < block_count; i++) {
    if (blocks[i] != block)
      continue;
    blocks[i] = blocks[--block_count];
    return 1;
  }
  return 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);
void __real_freeReplyObject(void *reply);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *block);
void __wrap_freeReplyObject(void *reply);

#if HIREDIS_MAJOR < 1
void *__wrap_malloc(size_t size)
{
  if (!failing)
    return __real_malloc(size);
  return refused() ? NULL : note_block(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
  if (!failing)
    return __real_calloc(count, size);
  return refused() ? NULL : note_block(__real_calloc(count, size));
}

void __wrap_free(void *block)
{
  forget_block(block);
  __real_free(block);
}

/* What it frees with 0.14. */
static void forget_reply(const redisReply *reply)
{
  if (!reply)
    return;
  forget_block(reply);
  if (reply->type == REDIS_REPLY_ARRAY) {
    for (size_t i = 0; i < reply->elements; i++)
      forget_reply(reply->element[i]);
    forget_block(reply->element);
  } else if (reply->type != REDIS_REPLY_INTEGER && reply->type != REDIS_REPLY_NIL) {
    forget_block(reply->str);
  }
}

void __wrap_freeReplyObject(void *reply)
{
  forget_reply(reply);
  __real_freeReplyObject(reply);
}

static void use_own_memory(void)
{
}
#else
void *__wrap_malloc(size_t size)
{
  return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
  return __real_calloc(count, size);
}

void __wrap_free(void *block)
{
  __real_free(block);
}

void __wrap_freeReplyObject(void *reply)
{
  __real_freeReplyObject(reply);
}

static void *own_malloc(size_t size)
{
  return failing && refused() ? NULL : note_block(__real_malloc(size));
}

static void *own_calloc(size_t count, size_t size)
{
  return failing && refused() ? NULL : note_block(__real_calloc(count, size));
}

static void *own_realloc(void *old, size_t size)
{
  (void)old, (void)size;
  ck_abort_msg("nothing of this grows a block");
}

static char *own_strdup(const char *text)
{
  (void)text;
  ck_abort_msg("nothing of this copies a string");
}

/* What comes from elsewhere would not be on the list. */
static void own_free(void *block)
{
  if (!block)
    return;
  ck_assert_msg(forget_block(block), "hiredis frees what is not from its allocators");
  __real_free(block);
}

static void use_own_memory(void)
{
  hiredisAllocFuncs own = {own_malloc, own_calloc, own_realloc, own_strdup, own_free};

  hiredisSetAllocators(&own);
}
#endif

/* ---- tests ---- */

struct run {
  const pmx_reply *reply;
  redisReply *ret;
  uint64_t hits;
};

static void convert(void *ud)
{
  struct run *run = ud;

  run->ret = pmx_hiredis_reply(run->reply);
}

static void whole_or_nothing(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct run *run = ud;

  (void)sticky;
  ck_assert_msg(hit == !run->ret, "allocation %llu: %s", (unsigned long long)n,
                hit ? "a reply with a hole" : "no reply");
  run->hits += hit;
  if (run->ret) /* all but the one that was freed on the way: the stack */
    ck_assert_uint_ge(block_count, 50);
  freeReplyObject(run->ret);
  ck_assert_msg(block_count == 0, "allocation %llu: %zu blocks are left", (unsigned long long)n,
                block_count);
}

/* A chain, so that the stack has to grow twice, with one of each type at its end. */
static pmx_reply *long_chain(void)
{
  pmx_reply *reply = one_of_each();

  for (int i = 0; i < 40; i++) {
    pmx_reply *outer = aggregate(reply->tree, PMX_TYPE_ARRAY, 2);

    outer->elems[0] = text_node(reply->tree, PMX_TYPE_STRING, "beside", 6);
    outer->elems[1] = reply;
    reply = outer;
  }
  return reply;
}

START_TEST(each_failed_allocation_leaves_nothing)
{
  static const struct torture_hooks hooks = {fail_at, asked_for};
  pmx_reply *reply = long_chain();
  struct run run = {.reply = reply};

  ck_assert_ptr_null(pmx_hiredis_mismatch(sizeof(redisReply)));
  use_own_memory();
  torture_with(&hooks, convert, whole_or_nothing, &run);
  ck_assert_uint_ge(run.hits, 2 * 100);
  pmx_reply_free(reply);
}
END_TEST

START_TEST(a_reply_survives_a_failed_take)
{
  pmx_reply *reply = one_of_each(), *rest = NULL;
  redisReply *r;

  ck_assert_ptr_null(pmx_hiredis_mismatch(sizeof(redisReply)));
  use_own_memory();
  fail_at(1, 1);
  r = pmx_hiredis_take(reply, &rest);
  fail_at(0, 0);
  ck_assert_ptr_null(r);
  ck_assert_ptr_eq(rest, reply);
  ck_assert_int_eq(pmx_ok(rest), 1); /* the command ran */
  r = pmx_hiredis_take(rest, &rest);
  ck_assert_uint_eq(r->elements, 14);
  freeReplyObject(r);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      each_failed_allocation_leaves_nothing,
      a_reply_survives_a_failed_take,
  };
  TCase *tc = checks_case("migrate_memory");

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run("migrate_memory", tc);
}
