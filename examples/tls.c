/* SPDX-License-Identifier: BSD-3-Clause */
/* tls.c - connects through TLS: trusts one CA, may show a certificate, reads both again on SIGHUP.
 * usage: tls rediss://HOST:PORT CA_FILE [CERT_FILE KEY_FILE] */
#include <poolmux/poolmux.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { PINGS = 10 };
static volatile sig_atomic_t renewed;

static void on_hangup(int signal_number)
{
  renewed = signal_number;
}

static int failed(const char *what, const pmx_reply *reply)
{
  fprintf(stderr, "%s: %s/%s: %s\n", what, pmx_status_str(pmx_reply_status(reply)),
          pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  return -1;
}

static pmx_client *open_client(int argc, char **argv)
{
  pmx_options *options = pmx_options_new();
  pmx_client *client;
  pmx_reply *err;

  if (!options)
    return NULL; /* pmx_open takes NULL for "as the URL says": that may be without */
  pmx_options_set(options, "tls", "yes"); /* whatever the URL says: never without */
  pmx_options_set(options, "tls.ca_file", argv[2]);
  if (argc == 5) {
    pmx_options_set(options, "tls.cert_file", argv[3]);
    pmx_options_set(options, "tls.key_file", argv[4]);
  }
  client = pmx_open(argv[1], options, &err);
  if (!client)
    failed("open", err);
  pmx_reply_free(err);
  pmx_options_free(options);
  return client;
}

/* What is wrong with the new files is told, and the old ones stay in use. */
static void reload(pmx_client *client)
{
  pmx_reply *reply;

  renewed = 0;
  reply = pmx_reload_tls(client);
  if (pmx_ok(reply))
    puts("reloaded");
  else
    failed("reload", reply);
  pmx_reply_free(reply);
}

int main(int argc, char **argv)
{
  pmx_client *client = argc == 3 || argc == 5 ? open_client(argc, argv) : NULL;
  int result = client ? 0 : -1;

  signal(SIGHUP, on_hangup);
  for (int i = 0; result == 0 && i < PINGS; i++) {
    pmx_reply *reply = pmx_command(client, "PING %d", i);

    result = pmx_ok(reply) ? printf("%s\n", pmx_reply_str(reply, NULL)) < 0 : failed("PING", reply);
    pmx_reply_free(reply);
    if (i == PINGS / 2)
      raise(SIGHUP); /* this is done by whoever renewed the files: kill -HUP */
    if (renewed)
      reload(client);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
  }
  pmx_unref(client);
  return result == 0 ? 0 : 1;
}
