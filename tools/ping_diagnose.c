/* SPDX-License-Identifier: BSD-3-Clause */
/* ping_diagnose.c - from a failure of the library to the stage at which it came about, and what to
 * do. The beginnings of the texts that are looked for are those of poolmux-troubleshooting(7). */
#include "ping.h"

#include <string.h>

static int says(const pmx_reply *error, const char *part)
{
  return strstr(pmx_reply_error(error), part) != NULL;
}

static enum stage stage_of_connect(const pmx_reply *error)
{
  if (says(error, "TLS handshake: "))
    return STAGE_TLS;
  return says(error, "cannot log in to ") ? STAGE_LOGIN : STAGE_TCP;
}

enum stage stage_of(const pmx_reply *error)
{
  if (pmx_reply_status(error) == PMX_INVALID)
    return STAGE_OPTIONS;
  switch (pmx_reply_cause(error)) {
  case PMX_CAUSE_DNS:
    return STAGE_DNS;
  case PMX_CAUSE_CONNECT:
    return stage_of_connect(error);
  case PMX_CAUSE_TLS:
    return STAGE_TLS;
  case PMX_CAUSE_AUTH:
    return says(error, "(option db)") ? STAGE_SELECT : STAGE_LOGIN;
  case PMX_CAUSE_PROTOCOL:
    return STAGE_LOGIN;
  default:
    return STAGE_OTHER;
  }
}

const char *stage_name(enum stage stage)
{
  switch (stage) {
  case STAGE_NONE:
    return "none";
  case STAGE_OTHER:
    return "other";
  case STAGE_OPTIONS:
    return "options";
  case STAGE_DNS:
    return "dns";
  case STAGE_TCP:
    return "tcp";
  case STAGE_TLS:
    return "tls";
  case STAGE_LOGIN:
    return "login";
  case STAGE_SELECT:
    return "select";
  case STAGE_PING:
    return "ping";
  }
  return "other";
}

/* The first row whose part is in the text; the last of each stage has none. */
static const struct advice {
  enum stage stage;
  const char *part, *text;
} table[] = {
    {STAGE_OPTIONS, "tls.", "Correct that option; poolmux-tls(7) explains the message."},
    {STAGE_OPTIONS, "", "Correct the URL or that option; poolmux-options(7) lists them all."},

    {STAGE_DNS, "in time",
     "The resolver of this machine does not answer (\"getent hosts NAME\"): look at "
     "/etc/resolv.conf, or raise -t."},
    {STAGE_DNS, "no address of the wanted family",
     "Set address_family=any, or give the name an address of that family."},
    {STAGE_DNS, "",
     "Check the host in the URL for typing errors, and the name server: \"getent hosts NAME\" asks "
     "what was asked here."},

    {STAGE_TCP, "Connection refused",
     "Nothing listens there: check host and port, that the server runs, and its \"bind\" and "
     "\"port\" (redis-cli CONFIG GET port)."},
    {STAGE_TCP, "No such file",
     "There is no such socket: check the path, and the server's \"unixsocket\"."},
    {STAGE_TCP, "Permission denied",
     "This user may not open the socket: see the server's \"unixsocketperm\" and the directories "
     "above."},
    {STAGE_TCP, "timed out",
     "No answer from that address: a firewall drops packets, the machine is down, or the address "
     "is "
     "wrong."},
    {STAGE_TCP, "nreachable",
     "There is no way to that address: check it, and the routes from here."},
    {STAGE_TCP, "", "Check host, port and the network between."},

    {STAGE_TLS, "is this the server's TLS port?",
     "It takes TLS for something else: use redis:// instead of rediss://, or the port of the "
     "server's \"tls-port\"."},
    {STAGE_TLS, "is this its plain port?",
     "Use redis:// instead of rediss://, or the port of the server's \"tls-port\"."},
    {STAGE_TLS, "is not trusted here",
     "Get the certificate of that CA from whoever runs the server, and set -o tls.ca_file=FILE; "
     "poolmux-tls(7)."},
    {STAGE_TLS, "is not for ",
     "Connect by a name that the certificate lists, or set -o tls.server_name=NAME; "
     "poolmux-tls(7)."},
    {STAGE_TLS, " expired on ",
     "Renew the certificate, on the server; poolmux-tls(7) tells how to make one."},
    {STAGE_TLS, "wants a client certificate",
     "Set -o tls.cert_file=FILE and -o tls.key_file=FILE; poolmux-tls(7)."},
    {STAGE_TLS, "",
     "The message says what to change; poolmux-tls(7) explains it under TROUBLESHOOTING, and "
     "\"openssl s_client -connect HOST:PORT\" shows the same server without this library."},

    {STAGE_LOGIN, "max number of clients",
     "Find who holds the connections (redis-cli CLIENT LIST), lower pool.max_size there, or raise "
     "the server's \"maxclients\"."},
    {STAGE_LOGIN, "DENIED",
     "The server is in protected mode: give it a password (\"requirepass\" or ACL) or the right "
     "\"bind\", or connect from its own machine."},
    {STAGE_LOGIN, "wants a password",
     "Set POOLMUX_PASSWORD, or use --password-file; for another user than \"default\" also "
     "-o user=NAME."},
    {STAGE_LOGIN, "WRONGPASS",
     "Check user and password: redis-cli ACL GETUSER NAME on the server says whether the user is "
     "there and \"on\"."},
    {STAGE_LOGIN, "without any password configured",
     "The server wants no password: unset POOLMUX_PASSWORD, or take it out of the URL."},
    {STAGE_LOGIN, "login refused",
     "Check user and password; poolmux-options(7) under user and password."},
    {STAGE_LOGIN, "that is TLS",
     "Use rediss:// instead of redis://, or the server's plain \"port\"."},
    {STAGE_LOGIN, "that is a web server", "Check host and port."},
    {STAGE_LOGIN, "protocol=resp3", "Leave out protocol=resp3: this server has RESP2 only."},
    {STAGE_LOGIN, "no answer",
     "Something accepts connections there and says nothing: the server is stopped, swapping, or "
     "busy with one command; look at its process and its log."},
    {STAGE_LOGIN, "without a word",
     "Try rediss:// (and tls.ca_file); if that is not it, look at the log of the server, or of the "
     "proxy between."},
    {STAGE_LOGIN, " lost: ", "It hung up in the middle of the login: look at its log."},
    {STAGE_LOGIN, "", "Is that a Redis or Valkey server? Check host and port."},

    {STAGE_SELECT, "NOPERM", "Allow it: redis-cli ACL SETUSER NAME +select; or use database 0."},
    {STAGE_SELECT, "",
     "Use a database the server has: redis-cli CONFIG GET databases; a cluster has 0 only."},

    {STAGE_PING, "LOADING",
     "The server reads its data from disk after a start; wait, its log and INFO tell how far it "
     "is."},
    {STAGE_PING, "MASTERDOWN",
     "A replica without its master: look at that one, or set the server's "
     "\"replica-serve-stale-data yes\"."},
    {STAGE_PING, "BUSY",
     "A script runs for too long: redis-cli SCRIPT KILL ends one that only reads."},
    {STAGE_PING, "MISCONF",
     "The server cannot save its data and refuses writes: look at its disk and its log."},
    {STAGE_PING, "NOPERM", "Allow it: redis-cli ACL SETUSER NAME +ping."},
    {STAGE_PING, "no answer",
     "The connection stands and the server is silent: it is stopped, or busy with one command; "
     "SLOWLOG GET tells which, afterwards."},
    {STAGE_PING, "", "poolmux-errors(7) tells what status and cause mean."},

    {STAGE_OTHER, "", "poolmux-errors(7) tells what status and cause mean."},
};

const char *advice_for(enum stage stage, const pmx_reply *error)
{
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].stage == stage && says(error, table[i].part))
      return table[i].text;
  return "";
}
