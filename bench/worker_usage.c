/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_usage.c - what a lap costs: the processors' time of both sides, and what the server has
 * counted. The questions themselves are taken off. */
#include "worker_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* < 0: the server does not say. */
static double field(const char *info, const char *name)
{
  const char *found = strstr(info, name);

  return found ? strtod(found + strlen(name), NULL) : -1;
}

static void word(const char *info, const char *name, char *ret, size_t size)
{
  const char *found = strstr(info, name);

  if (found)
    snprintf(ret, size, "%.*s", (int)strcspn(found + strlen(name), "\r\n"), found + strlen(name));
}

static void read_versions(const char *info, struct usage *u)
{
  snprintf(u->server_name, sizeof u->server_name, "redis");
  word(info, "\nserver_name:", u->server_name, sizeof u->server_name);
  word(info, "\nredis_version:", u->server_version, sizeof u->server_version);
  word(info, "\nvalkey_version:", u->server_version, sizeof u->server_version);
}

/* The server says its CPU time in microseconds; /proc would in hundredths of a second. */
static void ask_server(struct wire *control, struct usage *u)
{
  static const char *const argv[] = {"INFO"};
  char number[NUMBER_SIZE];
  redisReply *reply = wire_command(control, 1, argv, NULL);

  if (!reply || !reply->str || reply->type == REDIS_REPLY_ERROR)
    die("INFO: %s", reply && reply->str ? reply->str : wire_error(control));
  u->server_s = field(reply->str, "used_cpu_sys:") + field(reply->str, "used_cpu_user:");
  u->commands = field(reply->str, "total_commands_processed:");
  u->reads = field(reply->str, "total_reads_processed:");
  u->writes = field(reply->str, "total_writes_processed:");
  u->bytes_in = field(reply->str, "total_net_input_bytes:");
  u->bytes_out = field(reply->str, "total_net_output_bytes:");
  u->connections = field(reply->str, "connected_clients:");
  u->asked_in = sizeof "*1\r\n$4\r\nINFO\r\n" - 1;
  u->asked_out = (double)snprintf(number, sizeof number, "$%zu\r\n", (size_t)reply->len) +
                 (double)reply->len + 2;
  read_versions(reply->str, u);
  freeReplyObject(reply);
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

static void look(struct usage *u)
{
  struct rusage own;

  getrusage(RUSAGE_SELF, &own);
  u->user_s = seconds_of(own.ru_utime);
  u->system_s = seconds_of(own.ru_stime);
  u->sleeps = own.ru_nvcsw;
  u->at_ns = now_ns();
}

void usage_take(struct lap *lap, struct usage *ret, int begin)
{
  if (!begin)
    look(ret);
  else
    ret->machine_s = machine_seconds();
  ask_server(lap->control, ret);
  if (begin)
    look(ret);
  else
    ret->machine_s = machine_seconds();
}
