/* SPDX-License-Identifier: BSD-3-Clause */
/* demo_show.c - see demo_show.h. */
#include "demo_show.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  CELLS = 40,
  PLAIN_EVERY_MS = 600,
  LABEL_WIDTH = 32,
  COLUMN_WIDTH = 11,
  LINE_WIDTH = 76,
  TEXT_SIZE = 64
};

static int terminal, boxes;
static int64_t cell_ms, next_plain_ms;

void show_init(int64_t phase_ms)
{
  setlocale(LC_CTYPE, "");
  terminal = isatty(STDOUT_FILENO);
  boxes = terminal && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  cell_ms = (phase_ms + CELLS - 1) / CELLS;
  setvbuf(stdout, NULL, _IOFBF, 1 << 14);
}

void show_headline(int connections)
{
  printf("poolmux %s (%s)\n"
         "%d threads share one client with %d connections. They set, get and count, wait\n"
         "for lists, move money in transactions, and check every reply. Now and then all\n"
         "their connections are killed at once.\n",
         pmx_version(), pmx_build_info(), (int)CREW_CALLERS, connections);
  fflush(stdout);
}

void show_start(const struct column *c)
{
  printf("\n%s  %s\n", c->name, c->url);
  next_plain_ms = PLAIN_EVERY_MS;
  fflush(stdout);
}

/* ---- progress ---- */

static uint64_t answers_between(const struct pulse *pulse, int64_t from_ms, int64_t to_ms)
{
  uint64_t sum = 0;

  for (int64_t ms = from_ms; ms < to_ms && ms < PULSE_MS; ms++)
    sum += atomic_load_explicit(&pulse->answers[ms], memory_order_relaxed);
  return sum;
}

/* Answers over time, one character for each cell; the last one may not be full yet. */
static void print_graph(const struct pulse *pulse, int64_t age_ms)
{
  static const char *const utf8[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char *const ascii[] = {" ", ".", ".", ":", "-", "=", "+", "*", "#"};
  uint64_t cells[CELLS], most = 1;
  int n = (int)(age_ms / cell_ms);

  n = n < CELLS ? n : CELLS;
  for (int i = 0; i < n; i++) {
    cells[i] = answers_between(pulse, i * cell_ms, (i + 1) * cell_ms);
    most = cells[i] > most ? cells[i] : most;
  }
  for (int i = 0; i < CELLS; i++)
    fputs((boxes ? utf8 : ascii)[i < n ? (cells[i] * 8 + most - 1) / most : 0], stdout);
}

static void print_line(const struct column *c, int64_t age_ms)
{
  char calls[NUMBER_SIZE];

  printf("\r %4.1f s  ", (double)age_ms / 1000);
  print_graph(c->pulse, age_ms);
  printf("  %s calls", count_text(calls, (double)atomic_load(&c->pulse->calls)));
}

void show_progress(const struct column *c)
{
  int64_t age_ms = pulse_age_ms(c->pulse);
  char calls[NUMBER_SIZE];

  if (terminal) {
    print_line(c, age_ms);
  } else if (age_ms >= next_plain_ms) {
    next_plain_ms += PLAIN_EVERY_MS;
    printf(" %4.1f s  %s calls\n", (double)age_ms / 1000,
           count_text(calls, (double)atomic_load(&c->pulse->calls)));
  }
  fflush(stdout);
}

void show_killed(const struct column *c, uint64_t n)
{
  if (!terminal)
    printf(" %4.1f s  killed all %" PRIu64 " connections\n",
           (double)c->kill[c->kills - 1].to_ms / 1000, n);
  fflush(stdout);
}

void show_reloaded(const struct column *c)
{
  if (!terminal)
    printf(" %4.1f s  read the certificates again\n", (double)pulse_age_ms(c->pulse) / 1000);
  fflush(stdout);
}

/* Under the graph: when connections were killed. */
static void print_marks(const struct column *c)
{
  int at = 0;

  fputs("\n         ", stdout);
  for (unsigned i = 0; i < c->kills; i++) {
    for (; at < (int)(c->kill[i].to_ms / cell_ms); at++)
      putchar(' ');
    fputs(boxes ? "↑" : "^", stdout);
    at++;
  }
  for (; at < CELLS; at++)
    putchar(' ');
  printf("  %s", c->kills ? "all connections killed" : "");
}

void show_stop(const struct column *c)
{
  if (terminal) {
    print_line(c, c->lasted_ms);
    print_marks(c);
    putchar('\n');
  }
  fflush(stdout);
}

/* The longest time from a kill to the next answer that any caller got, over a connection made
 * since: no answer is late, so this is an upper bound. -1: there was no kill. */
static int64_t recovery_ms(const struct column *c)
{
  int64_t longest = -1;

  for (unsigned i = 0; i < c->kills; i++) {
    int64_t ms = c->kill[i].to_ms + 1;

    while (ms < c->lasted_ms && !answers_between(c->pulse, ms, ms + 1))
      ms++;
    ms -= c->kill[i].from_ms;
    longest = ms > longest ? ms : longest;
  }
  return longest;
}

/* ---- the table ---- */

static void text_of(const struct column *c, size_t row, char buf[TEXT_SIZE])
{
  const uint64_t counts[] = {c->tally.calls,
                             0,
                             0,
                             0,
                             c->stats.retries,
                             c->tally.not_run,
                             c->tally.unknown,
                             c->tally.wrong,
                             c->stats.opened,
                             c->stats.closed,
                             c->killed,
                             c->stats.live,
                             0};
  double seconds = (double)c->lasted_ms / 1000;

  switch (row) {
  case 1:
    count_text(buf, seconds > 0 ? (double)c->tally.calls / seconds : 0);
    break;
  case 2:
    duration_text(buf, (double)histogram_quantile(&c->tally.times, 0.5));
    break;
  case 3:
    duration_text(buf, (double)histogram_quantile(&c->tally.times, 0.99));
    break;
  case 12:
    snprintf(buf, TEXT_SIZE, c->kills ? "%" PRId64 " ms" : "-", recovery_ms(c));
    break;
  default:
    count_text(buf, (double)counts[row]);
  }
}

static const char *const labels[] = {
    "calls",
    "calls per second",
    "half of the replies came within",
    "99 % of the replies came within",
    "sent again by the library",
    "not run, and said so",
    "may have run, said so (UNKNOWN)",
    "wrong replies",
    "connections opened",
    "connections closed",
    "connections killed on purpose",
    "connections live at the end",
    "kill to next answer, at most",
};
enum { ROWS = sizeof labels / sizeof *labels };

/* One line of the frame: its left end, its crossings, its right end. */
static void print_rule(const char *left, const char *cross, const char *right, size_t columns)
{
  const char *line = boxes ? "─" : "-";

  fputs(boxes ? left : " ", stdout);
  for (size_t k = 0; k <= columns; k++) {
    for (int i = 0; i < (k == 0 ? LABEL_WIDTH : COLUMN_WIDTH) + 2; i++)
      fputs(line, stdout);
    fputs(k == columns ? (boxes ? right : "") : (boxes ? cross : line), stdout);
  }
  putchar('\n');
}

static void print_row(const char *label, const struct column *c, size_t columns, size_t row)
{
  const char *bar = boxes ? "│" : " ";
  char text[TEXT_SIZE];

  printf("%s %-*s %s", bar, LABEL_WIDTH, label, bar);
  for (size_t k = 0; k < columns; k++) {
    if (row < ROWS)
      text_of(&c[k], row, text);
    else
      snprintf(text, sizeof text, "%s", c[k].name);
    printf(" %*s", COLUMN_WIDTH, text);
    if (boxes || k + 1 < columns)
      printf(" %s", bar);
  }
  putchar('\n');
}

void show_table(const struct column *c, size_t n)
{
  putchar('\n');
  if (boxes)
    print_rule("┌", "┬", "┐", n);
  print_row("", c, n, ROWS);
  print_rule("├", "┼", "┤", n);
  for (size_t row = 0; row < ROWS; row++)
    print_row(labels[row], c, n, row);
  if (boxes)
    print_rule("└", "┴", "┘", n);
  putchar('\n');
  fflush(stdout);
}

/* ---- in words ---- */

static struct column sum_up(const struct column *c, size_t n)
{
  struct column sum = {.audited = 1};

  for (size_t i = 0; i < n; i++) {
    sum.tally.calls += c[i].tally.calls;
    sum.tally.unknown += c[i].tally.unknown;
    sum.tally.wrong += c[i].tally.wrong;
    sum.stats.retries += c[i].stats.retries;
    sum.kills += c[i].kills;
    sum.killed += c[i].killed;
    sum.audited &= c[i].audited;
  }
  return sum;
}

static void print_wrong(const struct column *c, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (c[i].tally.wrong)
      printf("WRONG over %s, %" PRIu64 " in all, the first: %s\n", c[i].name, c[i].tally.wrong,
             c[i].tally.first_wrong);
  }
}

static const char *calls_were(uint64_t n)
{
  return n == 1 ? "call was" : "calls were";
}

static void print_kills(const struct column *sum, int64_t recovery)
{
  char killed[NUMBER_SIZE], again[NUMBER_SIZE], unknown[NUMBER_SIZE];

  if (!sum->kills)
    return;
  printf("All connections were killed %u time%s, %s in all, and callers had answers again\n"
         "after %" PRId64 " ms at most; %s %s sent again because that was safe, and %s\n"
         "%s reported as perhaps run.\n",
         sum->kills, sum->kills == 1 ? "" : "s", count_text(killed, (double)sum->killed), recovery,
         count_text(again, (double)sum->stats.retries), calls_were(sum->stats.retries),
         count_text(unknown, (double)sum->tally.unknown), calls_were(sum->tally.unknown));
}

/* In lines of LINE_WIDTH, broken at blanks. */
static void print_wrapped(const char *text)
{
  while (*text) {
    size_t len = strlen(text), n = len;

    for (n = len < LINE_WIDTH ? len : LINE_WIDTH; n < len && n > 0 && text[n] != ' ';)
      n--;
    n = n > 0 ? n : len;
    printf("  %.*s\n", (int)n, text);
    text += n + strspn(text + n, " ");
  }
}

static void print_tls(const struct column *c)
{
  if (c->reloaded)
    puts("With TLS the server proves with a certificate who it is, before a password would be\n"
         "sent. The certificates were made a moment ago by a CA of our own; they were read\n"
         "again while the calls went on, and the connections were replaced one by one.");
  if (c->refusal[0]) {
    puts("A client that was not told of that CA is refused, and told what to do:");
    print_wrapped(c->refusal);
  }
}

void show_sentences(const struct column *c, size_t n, int connections, int interrupted)
{
  struct column sum = sum_up(c, n);
  int64_t recovery = 0;
  char calls[NUMBER_SIZE];

  for (size_t i = 0; i < n; i++)
    recovery = recovery_ms(&c[i]) > recovery ? recovery_ms(&c[i]) : recovery;
  if (interrupted)
    puts("Interrupted: this is what there was until then.");
  print_wrong(c, n);
  if (!sum.tally.wrong)
    printf("%d threads made %s calls over %d connections, and every reply was\nthe caller's own.\n",
           (int)CREW_CALLERS, count_text(calls, (double)sum.tally.calls), connections);
  print_kills(&sum, recovery);
  if (!sum.tally.wrong && sum.audited)
    puts("Afterwards the counters and accounts on the server were what the callers had been\n"
         "told: nothing was lost, and nothing ran twice.");
  for (size_t i = 0; i < n; i++)
    print_tls(&c[i]);
  fflush(stdout);
}
