/* SPDX-License-Identifier: BSD-3-Clause */
/* check_migrate.c - tests libpoolmux-hiredis: replies become what hiredis itself makes of the same
 * bytes, whatever their type and shape. Memory: check_migrate_memory.c; err: check_migrate_err.c.
 */
#include <poolmux/hiredis.h>
#include <pthread.h>
#include "decode_tools.h"
#include "harness/checks.h"
#include "migrate_nodes.h"

/* ---- comparing ---- */

static void same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
  ck_assert_uint_eq(a_len, b_len);
  ck_assert_int_eq(a == NULL, b == NULL);
  if (a)
    ck_assert_int_eq(memcmp(a, b, a_len + 1), 0); /* with the NUL */
}

/* 1.0 forgets the length of a double's text. */
static size_t length(const redisReply *r)
{
#if HIREDIS_MAJOR == 1 && HIREDIS_MINOR == 0
  if (r->type == REDIS_REPLY_DOUBLE)
    return strlen(r->str);
#endif
  return r->len;
}

static void same_reply(const redisReply *a, const redisReply *b)
{
  ck_assert_ptr_nonnull(a);
  ck_assert_ptr_nonnull(b);
  ck_assert_int_eq(a->type, b->type);
  ck_assert_int_eq(a->integer, b->integer);
  same_text(a->str, length(a), b->str, length(b));
#if HIREDIS_MAJOR >= 1
  ck_assert(memcmp(&a->dval, &b->dval, sizeof a->dval) == 0);
  ck_assert_mem_eq(a->vtype, b->vtype, sizeof a->vtype);
#endif
  ck_assert_uint_eq(a->elements, b->elements);
  ck_assert_int_eq(a->element == NULL, b->element == NULL);
  for (size_t i = 0; i < a->elements; i++)
    same_reply(a->element[i], b->element[i]);
}

static redisReply *hiredis_reads(const char *wire, size_t len)
{
  redisReader *reader = redisReaderCreate();
  void *reply = NULL;

  ck_assert_int_eq(redisReaderFeed(reader, wire, len), REDIS_OK);
  ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
  redisReaderFree(reader);
  return reply;
}

/* Converted, this is what hiredis reads itself. */
static void same_as_hiredis(const char *wire, size_t len)
{
  struct decoder *decoder = wide_decoder();
  redisReply *theirs = hiredis_reads(wire, len), *ours;
  pmx_reply *reply = NULL;

  ck_assert_int_eq(decoder_feed(decoder, wire, len), 0);
  ck_assert_int_eq(decoder_next(decoder, &reply), DECODE_REPLY);
  ours = pmx_hiredis_reply(reply);
  pmx_reply_free(reply); /* it is a copy */
  same_reply(ours, theirs);
  freeReplyObject(ours);
  freeReplyObject(theirs);
  decoder_close(decoder);
}

START_TEST(replies_are_those_of_hiredis)
{
  int compared = 0;

  for (int i = 0; i < SAMPLES; i++) {
    if (!is_readable(&samples[i]))
      continue;
    same_as_hiredis(samples[i].wire, samples[i].len);
    compared++;
  }
  ck_assert_int_ge(compared, 14);
#if HIREDIS_MAJOR > 1 || (HIREDIS_MAJOR == 1 && HIREDIS_MINOR >= 1)
  same_as_hiredis("(-12345678901234567890\r\n", 24);
#endif
}
END_TEST

/* Random replies, nested at most `depth` deep. */
static void random_wire(struct dump *d, uint32_t *seed, int depth)
{
  static const char *const leaves[] = {"+OK\r\n",  "-ERR no\r\n",     ":-17\r\n", "$-1\r\n",
                                       "*-1\r\n",  "*0\r\n",          "_\r\n",    "#t\r\n",
                                       ",2.5\r\n", "=6\r\ntxt:ab\r\n"};
  int leaf_count = decoder_resp3() ? 10 : 6;
  uint32_t r = (*seed = *seed * 1664525u + 1013904223u) >> 8;
  unsigned count = r / 16 % 6;

  if (depth > 0 && r % 4 != 0) {
    char kind = decoder_resp3() ? "*%~"[r / 4 % 3] : '*';

    dump_format(d, "%c%u\r\n", kind, count);
    for (unsigned i = 0; i < (kind == '%' ? count * 2 : count); i++)
      random_wire(d, seed, depth - 1);
  } else if (r % 3 == 0) {
    dump_format(d, "$%u\r\n%.*s\r\n", count, (int)count, "a\rb\ncd");
  } else {
    dump_format(d, "%s", leaves[r / 16 % (uint32_t)leaf_count]);
  }
}

START_TEST(random_replies_are_those_of_hiredis)
{
  uint32_t seed = 42;

  for (int i = 0; i < 2000; i++) {
    struct dump wire = {NULL, 0, 0};

    random_wire(&wire, &seed, 6);
    same_as_hiredis(wire.text, wire.len);
    free(wire.text);
  }
}
END_TEST

/* ---- each type ---- */

/* Of a tree that poolmux alone can have: with 0.14 the types of RESP3 as RESP2 has them. */
#if HIREDIS_MAJOR >= 1
#define OR_RESP2(resp3, resp2) (resp3)
#else
#define OR_RESP2(resp3, resp2) (resp2)
#endif
#if HIREDIS_MAJOR > 1 || (HIREDIS_MAJOR == 1 && HIREDIS_MINOR >= 1)
#define BIGNUM_TYPE REDIS_REPLY_BIGNUM
#else
#define BIGNUM_TYPE REDIS_REPLY_STRING
#endif

START_TEST(each_type_has_its_counterpart)
{
  static const int types[] = {
      [PMX_TYPE_FAILURE] = REDIS_REPLY_ERROR,
      [PMX_TYPE_NIL] = REDIS_REPLY_NIL,
      [PMX_TYPE_STRING] = REDIS_REPLY_STRING,
      [PMX_TYPE_SIMPLE] = REDIS_REPLY_STATUS,
      [PMX_TYPE_ERROR] = REDIS_REPLY_ERROR,
      [PMX_TYPE_INTEGER] = REDIS_REPLY_INTEGER,
      [PMX_TYPE_DOUBLE] = OR_RESP2(REDIS_REPLY_DOUBLE, REDIS_REPLY_STRING),
      [PMX_TYPE_BOOL] = OR_RESP2(REDIS_REPLY_BOOL, REDIS_REPLY_INTEGER),
      [PMX_TYPE_BIGNUM] = BIGNUM_TYPE,
      [PMX_TYPE_VERBATIM] = OR_RESP2(REDIS_REPLY_VERB, REDIS_REPLY_STRING),
      [PMX_TYPE_ARRAY] = REDIS_REPLY_ARRAY,
      [PMX_TYPE_MAP] = OR_RESP2(REDIS_REPLY_MAP, REDIS_REPLY_ARRAY),
      [PMX_TYPE_SET] = OR_RESP2(REDIS_REPLY_SET, REDIS_REPLY_ARRAY),
      [PMX_TYPE_PUSH] = OR_RESP2(REDIS_REPLY_PUSH, REDIS_REPLY_ARRAY),
  };
  pmx_reply *all = one_of_each();
  redisReply *r = pmx_hiredis_reply(all);
  redisReply **e = r->element;

  ck_assert_uint_eq(r->elements, 14);
  for (size_t i = 0; i < r->elements; i++)
    ck_assert_msg(e[i]->type == types[i], "type %zu became %d", i, e[i]->type);
  ck_assert_str_eq(e[PMX_TYPE_FAILURE]->str, "POOLMUX UNKNOWN/LOST no answer");
  ck_assert_uint_eq(e[PMX_TYPE_FAILURE]->len, strlen(e[PMX_TYPE_FAILURE]->str));
  ck_assert_mem_eq(e[PMX_TYPE_STRING]->str, "a\0b\0", 4);
  ck_assert_uint_eq(e[PMX_TYPE_STRING]->len, 3);
  ck_assert(e[PMX_TYPE_INTEGER]->integer == INT64_MIN);
  ck_assert_int_eq(e[PMX_TYPE_BOOL]->integer, 1);
  ck_assert_str_eq(e[PMX_TYPE_DOUBLE]->str, "1.5");
  ck_assert_str_eq(e[PMX_TYPE_BIGNUM]->str, "123456789012345678901");
  ck_assert_str_eq(e[PMX_TYPE_VERBATIM]->str, "words");
#if HIREDIS_MAJOR >= 1
  ck_assert(e[PMX_TYPE_DOUBLE]->dval >= 1.5 && e[PMX_TYPE_DOUBLE]->dval <= 1.5);
  ck_assert_str_eq(e[PMX_TYPE_VERBATIM]->vtype, "txt");
#endif
  for (int type = PMX_TYPE_ARRAY; type <= PMX_TYPE_PUSH; type++) {
    ck_assert_uint_eq(e[type]->elements, 2);
    ck_assert_str_eq(e[type]->element[0]->str, "key");
  }
  freeReplyObject(r);
  pmx_reply_free(all);
}
END_TEST

/* ---- shapes ---- */

/* Deeper than any option of poolmux lets a server go. */
START_TEST(deep_replies_are_no_recursion)
{
  enum { DEEP = 5000 };
  struct reply_tree *tree = new_tree();
  pmx_reply *reply = text_node(tree, PMX_TYPE_STRING, "deep", 4);
  redisReply *r, *at;
  int depth = 0;

  for (int i = 0; i < DEEP; i++) {
    pmx_reply *outer = aggregate(tree, PMX_TYPE_ARRAY, 2);

    outer->elems[0] = reply;
    outer->elems[1] = node(tree, PMX_TYPE_NIL);
    reply = outer;
  }
  r = pmx_hiredis_reply(reply);
  for (at = r; at->type == REDIS_REPLY_ARRAY; at = at->element[0]) {
    ck_assert_int_eq(at->element[1]->type, REDIS_REPLY_NIL);
    depth++;
  }
  ck_assert_int_eq(depth, DEEP);
  ck_assert_str_eq(at->str, "deep");
  freeReplyObject(r);
  pmx_reply_free(reply);
}
END_TEST

START_TEST(large_replies_arrive_whole)
{
  enum { MANY = 300000, BIG = 32 * 1024 * 1024 };
  struct reply_tree *tree = new_tree();
  pmx_reply *reply = aggregate(tree, PMX_TYPE_ARRAY, MANY + 1);
  char *big = malloc(BIG);
  redisReply *r;

  memset(big, 'b', BIG);
  for (int i = 0; i < MANY; i++) {
    reply->elems[i] = node(tree, PMX_TYPE_INTEGER);
    reply->elems[i]->integer = i;
  }
  reply->elems[MANY] = text_node(tree, PMX_TYPE_STRING, big, BIG);
  r = pmx_hiredis_reply(reply);
  pmx_reply_free(reply);
  ck_assert_uint_eq(r->elements, MANY + 1);
  for (int i = 0; i < MANY; i++)
    if (r->element[i]->integer != i)
      ck_abort_msg("element %d is %lld", i, r->element[i]->integer);
  ck_assert_uint_eq(r->element[MANY]->len, BIG);
  ck_assert_int_eq(memcmp(r->element[MANY]->str, big, BIG), 0);
  freeReplyObject(r);
  free(big);
}
END_TEST

static void *converts(void *arg)
{
  for (int i = 0; i < 200; i++) {
    redisReply *r = pmx_hiredis_reply(arg);

    if (!r || r->elements != 14)
      return arg;
    freeReplyObject(r);
  }
  return NULL;
}

/* Also the first conversions of a process, which ask hiredis for its layout. */
START_TEST(threads_convert_one_reply_at_once)
{
  pmx_reply *reply = one_of_each();
  pthread_t threads[4];
  void *bad;

  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, converts, reply), 0);
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(pthread_join(threads[i], &bad), 0);
    ck_assert_ptr_null(bad);
  }
  pmx_reply_free(reply);
}
END_TEST

/* ---- failures ---- */

START_TEST(a_failure_is_null_as_with_hiredis)
{
  pmx_reply *failure = reply_failure(PMX_UNKNOWN, PMX_CAUSE_TIMEOUT, "too late"), *rest = NULL;

  ck_assert_ptr_null(pmx_hiredis_reply(NULL));
  ck_assert_ptr_null(pmx_hiredis_reply(failure));
  ck_assert_ptr_null(pmx_hiredis_take(failure, &rest));
  ck_assert_ptr_eq(rest, failure);                  /* says what NULL cannot */
  ck_assert_ptr_null(pmx_hiredis_take(rest, NULL)); /* nobody asks: freed */
  ck_assert_ptr_null(pmx_hiredis_take(NULL, &rest));
  ck_assert_ptr_null(rest);
}
END_TEST

START_TEST(take_frees_what_it_converts)
{
  pmx_reply *rest = (pmx_reply *)&rest, *kept = one_of_each();
  redisReply *r = pmx_hiredis_take(pmx_reply_ref(kept), &rest);

  ck_assert_ptr_nonnull(r);
  ck_assert_ptr_null(rest);
  freeReplyObject(r);
  r = pmx_hiredis_take(kept, NULL); /* the last reference: seen by sanitizers and valgrind */
  ck_assert_uint_eq(r->elements, 14);
  freeReplyObject(r);
}
END_TEST

START_TEST(a_program_with_another_header_is_told)
{
  ck_assert_ptr_null(pmx_hiredis_mismatch(sizeof(redisReply)));
  ck_assert_ptr_nonnull(strstr(pmx_hiredis_mismatch(sizeof(redisReply) + 16), "hiredis.h"));
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      replies_are_those_of_hiredis,
      random_replies_are_those_of_hiredis,
      each_type_has_its_counterpart,
      deep_replies_are_no_recursion,
      large_replies_arrive_whole,
      threads_convert_one_reply_at_once,
      a_failure_is_null_as_with_hiredis,
      take_frees_what_it_converts,
      a_program_with_another_header_is_told,
  };
  TCase *tc = checks_case("migrate");

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run("migrate", tc);
}
