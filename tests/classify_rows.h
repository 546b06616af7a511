/* SPDX-License-Identifier: BSD-3-Clause */
/* classify_rows.h - commands and what is known of them, for the tests that ask the classifier and
 * the one that asks a server. The claims about waiting hold for the data described there. */
#ifndef TESTS_CLASSIFY_ROWS_H
#define TESTS_CLASSIFY_ROWS_H
#include <check.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "call/route.h"

enum { ARGS_MAX = 16, NEVER = -1 };
#define FOREVER ROUTE_BLOCK_FOREVER

/* Splits at blanks. '~' stands for an empty argument, '^' inside one for a NUL. */
struct line {
  char text[200];
  int argc;
  const char *argv[ARGS_MAX];
  size_t len[ARGS_MAX];
};

static inline void line_set(struct line *l, const char *text)
{
  char *word, *rest;

  l->argc = 0;
  snprintf(l->text, sizeof l->text, "%s", text);
  for (word = strtok_r(l->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    ck_assert_int_lt(l->argc, ARGS_MAX);
    l->argv[l->argc] = word;
    l->len[l->argc] = *word == '~' ? 0 : strlen(word);
    for (char *c = word; *c; c++)
      if (*c == '^')
        *c = '\0';
    l->argc++;
  }
}

/* 0 as it is, 1 lower, 2 upper, 3 mixed. Numbers and keys do not mind. */
static inline void line_turn(struct line *l, int variant)
{
  for (size_t i = 0; variant > 0 && i < sizeof l->text; i++) {
    int c = (unsigned char)l->text[i];

    l->text[i] = (char)(variant == 1 || (variant == 3 && i % 2) ? tolower(c) : toupper(c));
  }
}

/* True while no key but these exists: s and t are empty streams with groups g and block. */
static const struct {
  const char *text;
  int64_t ms;
} block_rows[] = {
    /* seconds as the last argument */
    {"blpop k 1", 1000},
    {"blpop a b c 0.05", 50},
    {"brpop k 2.0001", 2001},
    {"bzpopmin k 0.0000001", 1},
    {"bzpopmax a b .5", 500},
    {"blpop k 5.", 5000},
    {"blpop k +3", 3000},
    {"blpop k 1e-2", 10},
    {"blpop k 2E+1", 20000},
    {"blpop k 0x10", 16000},
    {"blpop k 0x0.8", 500},
    {"blpop k 0x1p-1", 500},
    {"blpop k 0x1.8P3", 12000},
    {"blpop k 00000000000000000000000000000000000000000000000000001", 1000},
    {"blpop k 0.00000000000000000000000000000000000000000000000000001", 1},
    {"blpop k 10000000000000000000000000000000000000000e-40", 1000},
    {"blpop k 0", FOREVER},
    {"blpop k -0", FOREVER},
    {"blpop k 0.0e99", FOREVER},
    {"blpop k 0e999999999999999999999", FOREVER},
    {"blpop k -0.0005", FOREVER}, /* rounds to 0 at the server */
    {"blpop k 9000000000000000", FOREVER},
    {"blpop k 10000000000", FOREVER}, /* more than a clock counts */
    {"brpoplpush a b 0.25", 250},
    {"blmove a b left right 0.25", 250},
    {"blmove left right right left 3", 3000},
    {"blmovem a b left right 0.25", 250},
    {"blmovem a b right left 7 count 3 obo", 7000},
    {"blmovem a b right left 7 exactly 30 bulk", 7000},
    {"blmpop 0.5 1 k left", 500},
    {"blmpop 3 2 a left right", 3000},
    {"blmpop 3 2 a b right count 9", 3000},
    {"bzmpop 0 1 k min", FOREVER},
    {"bzmpop 1 2 min max max count 1", 1000},
    /* streams */
    {"xread block 50 streams s $", 50},
    {"xread block 0 streams s $", FOREVER},
    {"xread count 1 block 50 streams s $", 50},
    {"xread block 50 count -3 streams s t 0 $", 50},
    {"xread block 1 block 60 streams s $", 60},
    {"xread block 60 block 0 streams s $", FOREVER},
    {"xread block 50 maxcount 5 maxsize 100 streams s $", 50},
    {"xread block 50 streams streams $", 50},
    {"xread count 9 streams s $", NEVER},
    {"xreadgroup group g c block 50 streams s >", 50},
    {"xreadgroup block 50 group g c noack streams s >", 50},
    {"xreadgroup noack count 2 block 50 group g c streams s t > >", 50},
    {"xreadgroup group block streams block 7 streams s >", 7},
    {"xreadgroup group g c block 50 claim 100 streams s >", 50},
    {"xreadgroup group g c claim 100 block 50 streams s >", 50},
    {"xread^streams block 9 streams s $", NEVER},
    {"xread block^x 50 streams^y s $", 50}, /* servers stop reading options at a NUL */
    {"xreadgroup group g c block 5 streams s >^", 5},
    /* time series */
    {"ts.read k 0 block 50 1", 50},
    {"ts.read k 0 block 0 1 max_count 5", FOREVER},
    {"ts.read k 0 max_count 5 block 50 1", 50},
    {"ts.read k 0 max_count block", NEVER},
    /* waiting without keys */
    {"wait 1 50", 50},
    {"wait 1 0", FOREVER},
    {"waitaof 1 1 50", 50},
    {"waitaof 0 2 0", FOREVER},
    {"migrate h 6380 k 0 50", 50},
    {"migrate h 6380 k 0 0", 1000},
    {"migrate h 6380 k 0 -9", 1000},
    {"migrate h 6380 ~ 0 2500 copy replace keys a b", 2500},
    /* decoys */
    {"xread streams block 0", NEVER},
    {"xread count 5 streams block 50 0 0", NEVER},
    {"xreadgroup group block 50 streams s >", NEVER},
    {"xreadgroup group g c streams block >", NEVER},
    {"xreadgroup group g c block 50 streams s 0", NEVER},
    {"xreadgroup group g c block 50 streams s t > 0-1", NEVER},
    {"ts.add k * 1 on_duplicate block", NEVER},
    {"ts.create k duplicate_policy block", NEVER},
    {"set blpop 0", NEVER},
    {"get block", NEVER},
    {"client pause 5000", NEVER},
    {"flushall", NEVER},
    {"flushdb sync", NEVER},
    {"shutdown", NEVER},
    {"save", NEVER},
    {"debug sleep 5", NEVER},
    {"eval blpop 0", NEVER},
    {"lmpop 1 k left", NEVER},
    {"brpoplpushx a b 1", NEVER},
    {"blpop^ k 1", NEVER},
    /* malformed: the server answers at once */
    {"blpop", NEVER},
    {"blpop 0", NEVER},
    {"blpop k -1", NEVER},
    {"blpop k -0.002", NEVER},
    {"blpop k x", NEVER},
    {"blpop k ~", NEVER},
    {"blpop k 1^", NEVER},
    {"blpop k 1x", NEVER},
    {"blpop k 1,5", NEVER},
    {"blpop k .", NEVER},
    {"blpop k -", NEVER},
    {"blpop k 1e", NEVER},
    {"blpop k 1e+", NEVER},
    {"blpop k 0x", NEVER},
    {"blpop k 0x.", NEVER},
    {"blpop k 0x1p", NEVER},
    {"blpop k 1.2.3", NEVER},
    {"blpop k ++1", NEVER},
    {"blpop k inf", NEVER},
    {"blpop k -infinity", NEVER},
    {"blpop k nan", NEVER},
    {"blpop k 1e30", NEVER},
    {"blpop k 1e9999999999999999999", NEVER},
    {"blpop k 1e-9999999999999999999", NEVER},
    {"blpop k 9300000000000000", NEVER},
    {"brpoplpush a b", NEVER},
    {"brpoplpush a b c 1", NEVER},
    {"blmove a b left right", NEVER},
    {"blmove a b left right 1 2", NEVER},
    {"blmove a b up right 1", NEVER},
    {"blmove a b left up 1", NEVER},
    {"blmove a b left right x", NEVER},
    {"blmovem a b left right", NEVER},
    {"blmovem a b left up 1", NEVER},
    {"blmovem a b left right count 1 1", NEVER},
    {"blmpop 1 0 k left", NEVER},
    {"blmpop 1 -1 k left", NEVER},
    {"blmpop 1 2 k left", NEVER},
    {"blmpop 1 9223372036854775807 k left", NEVER},
    {"blmpop 1 99999999999999999999 k left", NEVER},
    {"blmpop 1 1 k min", NEVER},
    {"blmpop 1 1 k left count", NEVER},
    {"blmpop 1 1 k left count 0", NEVER},
    {"blmpop 1 1 k left count x", NEVER},
    {"blmpop 1 1 k left other 1", NEVER},
    {"blmpop 1 1 k left count 1 count 1", NEVER},
    {"blmpop x 1 k left", NEVER},
    {"blmpop 1 01 k left", NEVER},
    {"bzmpop 1 1 k left", NEVER},
    {"bzmpop -1 1 k min", NEVER},
    {"xread", NEVER},
    {"xread block", NEVER},
    {"xread block 50", NEVER},
    {"xread block 50 streams", NEVER},
    {"xread block 50 streams s", NEVER},
    {"xread block 50 streams a b $", NEVER},
    {"xread block -1 streams s $", NEVER},
    {"xread block 1.5 streams s $", NEVER},
    {"xread block +5 streams s $", NEVER},
    {"xread block 05 streams s $", NEVER},
    {"xread block -0 streams s $", NEVER},
    {"xread block x block 5 streams s $", NEVER},
    {"xread block 5 block x streams s $", NEVER},
    {"xread count x block 5 streams s $", NEVER},
    {"xread block 5 count streams s $", NEVER},
    {"xread block 5 noack streams s $", NEVER},
    {"xread block 5 group g c streams s $", NEVER},
    {"xread block 5 claim 5 streams s $", NEVER},
    {"xread block 5 nonsense streams s $", NEVER},
    {"xread block 5 streams s >", NEVER},
    {"xread block 99999999999999999999 streams s $", NEVER},
    {"xreadgroup block 50 streams s >", NEVER},
    {"xreadgroup group g block 50 streams s >", NEVER},
    {"xreadgroup group g c block 50 streams s $", NEVER},
    {"xreadgroup group g c block 50 streams a b >", NEVER},
    {"ts.read k 0 block", NEVER},
    {"ts.read k 0 block 50", NEVER},
    {"ts.read k 0 block x 1", NEVER},
    {"ts.read block 50 1", NEVER},
    {"wait 1", NEVER},
    {"wait x 50", NEVER},
    {"wait 1 -50", NEVER},
    {"wait 1 50 50", NEVER},
    {"waitaof 2 1 50", NEVER},
    {"waitaof -1 1 50", NEVER},
    {"waitaof 1 -1 50", NEVER},
    {"waitaof 1 1", NEVER},
    {"migrate h 6380 k 0", NEVER},
    {"migrate h 6380 k x 50", NEVER},
    {"migrate h 6380 k 0 x", NEVER},
};

#endif
