/* SPDX-License-Identifier: BSD-3-Clause */
/* load_lap.c - what a lap of poolmux-load costs: time, and the processors' time of both sides. */
#include "load_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int lap_open(struct lap *lap, int callers)
{
  lap->callers = callers;
  lap->caller = calloc((size_t)callers, sizeof *lap->caller);
  for (int i = 0; lap->caller && i < callers; i++) {
    lap->caller[i].place = i;
    lap->caller[i].dice = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(i + 1);
  }
  return lap->caller ? 0 : -1;
}

void lap_close(struct lap *lap)
{
  free(lap->caller);
  lap->caller = NULL;
}

/* Touches all pages, so that no lap pays for them. */
void lap_clear(struct lap *lap)
{
  for (int i = 0; i < lap->callers; i++) {
    memset(&lap->caller[i].times, 0, sizeof lap->caller[i].times);
    lap->caller[i].why[0] = '\0';
  }
  lap->why[0] = '\0';
}

int lap_failed(struct lap *lap, const char *why)
{
  snprintf(lap->why, sizeof lap->why, "%s", why);
  return -1;
}

static double field(const char *text, const char *name)
{
  const char *found = strstr(text, name);

  return found ? strtod(found + strlen(name), NULL) : 0;
}

/* The server says it in microseconds; /proc would in hundredths of a second. */
static double server_seconds(redisContext *control)
{
  redisReply *reply = redisCommand(control, "INFO cpu");
  double seconds;

  if (!reply || !reply->str) {
    fprintf(stderr, "poolmux-load: INFO cpu: %s\n", reply ? "no text" : control->errstr);
    exit(EXIT_FAILURE);
  }
  seconds = field(reply->str, "used_cpu_sys:") + field(reply->str, "used_cpu_user:");
  freeReplyObject(reply);
  return seconds;
}

static double seconds_of(struct timeval t)
{
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Of the line "cpu  user nice system idle iowait irq softirq steal ...", in hundredths. */
static double machine_seconds(void)
{
  FILE *file = fopen("/proc/stat", "r");
  double n[8] = {0};
  int found = 0;

  if (file) {
    found = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &n[0], &n[1], &n[2], &n[3], &n[4],
                   &n[5], &n[6], &n[7]);
    fclose(file);
  }
  return found == 8 ? (n[0] + n[1] + n[2] + n[5] + n[6] + n[7]) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static void look(struct usage *usage)
{
  struct rusage own;

  getrusage(RUSAGE_SELF, &own);
  usage->user_s = seconds_of(own.ru_utime);
  usage->system_s = seconds_of(own.ru_stime);
  usage->sleeps = own.ru_nvcsw;
}

void lap_begin(struct lap *lap)
{
  lap->before.machine_s = machine_seconds();
  lap->before.server_s = server_seconds(lap->control);
  look(&lap->before);
  lap->before.at_ns = now_ns();
  lap->until_ns = INT64_MAX;
  if (lap->calls == LONG_MAX)
    lap->until_ns = lap->before.at_ns + (int64_t)(lap->seconds * 1e9);
}

void lap_end(struct lap *lap)
{
  lap->after.at_ns = now_ns();
  look(&lap->after);
  lap->after.server_s = server_seconds(lap->control);
  lap->after.machine_s = machine_seconds();
}

void lap_figures(const struct lap *lap, double ret[FIGURES])
{
  static struct histogram all;
  const struct usage *a = &lap->before, *b = &lap->after;
  double seconds = (double)(b->at_ns - a->at_ns + 1) / 1e9, millions;

  memset(&all, 0, sizeof all);
  for (int i = 0; i < lap->callers; i++)
    histogram_merge(&all, &lap->caller[i].times);
  millions = (double)(all.count ? all.count : 1) / 1e6;
  ret[RATE] = (double)all.count / seconds;
  ret[P50] = (double)histogram_quantile(&all, 0.5);
  ret[P99] = (double)histogram_quantile(&all, 0.99);
  ret[P999] = (double)histogram_quantile(&all, 0.999);
  ret[KERNEL] = (b->system_s - a->system_s) / millions;
  ret[CLIENT] = ret[KERNEL] + (b->user_s - a->user_s) / millions;
  ret[SERVER] = (b->server_s - a->server_s) / millions;
  ret[BUSY] = (ret[CLIENT] + ret[SERVER]) * millions / seconds;
  ret[OTHERS] = (b->machine_s - a->machine_s) / seconds - ret[BUSY];
  ret[SLEEPS] = (double)(b->sleeps - a->sleeps) / (millions * 1e6);
}
