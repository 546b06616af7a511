/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake_rows.h - every kind of handshake: what is said, what the server answers, how it ends.
 */
#ifndef TESTS_HANDSHAKE_ROWS_H
#define TESTS_HANDSHAKE_ROWS_H
#include <poolmux/poolmux.h>
#include "call/config.h"

#define FULL "-ERR max number of clients reached\r\n"
#define INFO "CLIENT SETINFO LIB-NAME poolmux; CLIENT SETINFO LIB-VER " POOLMUX_VERSION "; "
#define SECRET "s3cr3t-passw0rd"

enum { EXCHANGES_MAX = 4 };

/* One handshake: what is said and answered in turn, and how it ends. A cause of NONE is READY. */
struct talk {
  const char *name;
  struct {
    const char *says, *answer; /* says NULL: the answer comes before anything was sent */
  } exchanges[EXCHANGES_MAX];
  pmx_cause cause;
  const char *text; /* in conn.text */
  const char *user, *password, *client_name;
  int db, info, protocol, reset;
  int resp3;   /* takes a library that reads RESP3: 1, that does not: -1 */
  int speaks3; /* conn.resp3 at the end */
};

#define PLAIN .protocol = PROTOCOL_RESP2
#define THREE .protocol = PROTOCOL_RESP3
#define LOGIN .password = SECRET
#define HELLO_AUTH "HELLO 3 AUTH default " SECRET
#define HELLO_OK "*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
#define HELLO_MAP "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
#define UNKNOWN_HELLO                                                                              \
  "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `" SECRET       \
  "`, \r\n"

static const struct talk talks[] = {
    /* nothing but a PING, and the optional steps */
    {"bare", {{"PING", "+PONG\r\n"}}, .text = "", PLAIN},
    {"info", {{INFO "PING", "+OK\r\n+OK\r\n+PONG\r\n"}}, .text = "", .info = 1, PLAIN},
    {"old server without SETINFO",
     {{INFO "PING", "-ERR unknown subcommand\r\n-ERR unknown subcommand\r\n+PONG\r\n"}},
     .info = 1,
     PLAIN},
    {"all steps",
     {{"SELECT 15; CLIENT SETNAME me; " INFO "PING", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+PONG\r\n"}},
     .db = 15,
     .client_name = "me",
     .info = 1,
     PLAIN},
    {"name refused",
     {{"CLIENT SETNAME me; PING", "-NOPERM no client commands\r\n+PONG\r\n"}},
     .client_name = "me",
     PLAIN},
    {"auto without RESP3", {{"PING", "+PONG\r\n"}}, .protocol = PROTOCOL_AUTO, .resp3 = -1},

    /* PING */
    {"loading", {{"PING", "-LOADING Redis is loading the dataset in memory\r\n"}}, PLAIN},
    {"misconf", {{"PING", "-MISCONF disk full\r\n"}}, PLAIN},
    {"masterdown", {{"PING", "-MASTERDOWN no link\r\n"}}, PLAIN},
    {"password wanted",
     {{"PING", "-NOAUTH Authentication required.\r\n"}},
     PMX_CAUSE_AUTH,
     "options user, password",
     PLAIN},
    {"password wanted, all steps",
     {{"SELECT 1; CLIENT SETNAME me; PING",
       "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"}},
     PMX_CAUSE_AUTH,
     "NOAUTH",
     .db = 1,
     .client_name = "me",
     PLAIN},
    {"number instead of PONG", {{"PING", ":1\r\n"}}, PMX_CAUSE_PROTOCOL, "wrong kind", PLAIN},
    {"web server", {{"PING", "HTTP/1.1 400 Bad Request\r\n"}}, PMX_CAUSE_PROTOCOL, "", PLAIN},

    /* AUTH */
    {"password", {{"AUTH " SECRET, "+OK\r\n"}, {"PING", "+PONG\r\n"}}, LOGIN, PLAIN},
    {"user",
     {{"AUTH ada " SECRET, "+OK\r\n"}, {"SELECT 2; PING", "+OK\r\n+PONG\r\n"}},
     .user = "ada",
     LOGIN,
     .db = 2,
     PLAIN},
    {"user without password",
     {{"AUTH ada ''", "+OK\r\n"}, {"PING", "+PONG\r\n"}},
     .user = "ada",
     PLAIN},
    {"wrong password",
     {{"AUTH " SECRET, "-WRONGPASS invalid username-password pair or user is disabled.\r\n"}},
     PMX_CAUSE_AUTH,
     "WRONGPASS",
     LOGIN,
     PLAIN},
    {"wrong password, old server",
     {{"AUTH " SECRET, "-ERR invalid password\r\n"}},
     PMX_CAUSE_AUTH,
     "login refused",
     LOGIN,
     PLAIN},
    {"AUTH under another name",
     {{"AUTH " SECRET,
       "-ERR unknown command `AUTH`, with args beginning with: `" SECRET "`, \r\n"}},
     PMX_CAUSE_AUTH,
     "login refused",
     LOGIN,
     PLAIN},
    {"AUTH under another name, cut short",
     {{"AUTH " SECRET, "-ERR unknown command 'AUTH', with args beginning with: 's3cr3t-pa\r\n"}},
     PMX_CAUSE_AUTH,
     "login refused",
     LOGIN,
     PLAIN},
    {"AUTH refused with the password in the text",
     {{"AUTH " SECRET, "-ERR no user has the password " SECRET "\r\n"}},
     PMX_CAUSE_AUTH,
     "login refused",
     LOGIN,
     PLAIN},
    {"AUTH answered by a bulk",
     {{"AUTH " SECRET, "$2\r\nOK\r\n"}},
     PMX_CAUSE_PROTOCOL,
     "wrong kind",
     LOGIN,
     PLAIN},
    {"AUTH answered twice",
     {{"AUTH " SECRET, "+OK\r\n+OK\r\n"}},
     PMX_CAUSE_PROTOCOL,
     "before it was asked",
     LOGIN,
     PLAIN},

    /* SELECT */
    {"no such database",
     {{"SELECT 99; PING", "-ERR DB index is out of range\r\n"}},
     PMX_CAUSE_AUTH,
     "option db",
     .db = 99,
     PLAIN},

    /* no room */
    {"full, unasked", {{NULL, FULL}}, PMX_CAUSE_CONNECT, "max number of clients", PLAIN},
    {"full, PING", {{"PING", FULL}}, PMX_CAUSE_CONNECT, "max number of clients", PLAIN},
    {"full, AUTH",
     {{"AUTH " SECRET, FULL}},
     PMX_CAUSE_CONNECT,
     "max number of clients",
     LOGIN,
     PLAIN},
    {"full, HELLO", {{"HELLO 3", FULL}}, PMX_CAUSE_CONNECT, "max number of clients", THREE},
    {"full, SELECT",
     {{"SELECT 1; PING", FULL}},
     PMX_CAUSE_CONNECT,
     "max number of clients",
     .db = 1,
     PLAIN},
    {"full, SETNAME",
     {{"CLIENT SETNAME me; PING", FULL}},
     PMX_CAUSE_CONNECT,
     "max number of clients",
     .client_name = "me",
     PLAIN},
    {"full, SETINFO",
     {{INFO "PING", FULL}},
     PMX_CAUSE_CONNECT,
     "max number of clients",
     .info = 1,
     PLAIN},
    {"another error, unasked",
     {{NULL, "-DENIED protected mode\r\n"}},
     PMX_CAUSE_CONNECT,
     "DENIED",
     PLAIN},
    {"banner", {{NULL, "+hello there\r\n"}}, PMX_CAUSE_PROTOCOL, "before it was asked", PLAIN},

    /* HELLO */
    {"hello", {{"HELLO 3", HELLO_OK}, {"PING", "+PONG\r\n"}}, THREE, .speaks3 = 1},
    {"hello, map",
     {{"HELLO 3", HELLO_MAP}, {"PING", "+PONG\r\n"}},
     THREE,
     .resp3 = 1,
     .speaks3 = 1},
    {"hello and login",
     {{HELLO_AUTH, HELLO_OK}, {"SELECT 1; PING", "+OK\r\n+PONG\r\n"}},
     LOGIN,
     .db = 1,
     THREE,
     .speaks3 = 1},
    {"hello and user",
     {{"HELLO 3 AUTH ada " SECRET, HELLO_OK}, {"PING", "+PONG\r\n"}},
     .user = "ada",
     LOGIN,
     THREE,
     .speaks3 = 1},
    {"hello, wrong password",
     {{HELLO_AUTH, "-WRONGPASS invalid username-password pair\r\n"}},
     PMX_CAUSE_AUTH,
     "WRONGPASS",
     LOGIN,
     THREE},
    {"hello, password wanted",
     {{"HELLO 3", "-NOAUTH HELLO must be called with the client already authenticated\r\n"}},
     PMX_CAUSE_AUTH,
     "NOAUTH",
     THREE},
    {"hello unknown",
     {{"HELLO 3", "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"}},
     PMX_CAUSE_PROTOCOL,
     "protocol=resp3",
     THREE},
    {"hello unknown, and the server repeats the password",
     {{HELLO_AUTH, UNKNOWN_HELLO}},
     PMX_CAUSE_PROTOCOL,
     "protocol=resp3",
     LOGIN,
     THREE},
    {"hello, no such protocol",
     {{"HELLO 3", "-NOPROTO unsupported protocol version\r\n"}},
     PMX_CAUSE_PROTOCOL,
     "NOPROTO",
     THREE},
    {"hello answered by OK", {{"HELLO 3", "+OK\r\n"}}, PMX_CAUSE_PROTOCOL, "wrong kind", THREE},

    /* protocol=auto falls back */
    {"auto", {{"HELLO 3", HELLO_MAP}, {"PING", "+PONG\r\n"}}, .resp3 = 1, .speaks3 = 1},
    {"auto, hello unknown",
     {{"HELLO 3", "-ERR unknown command 'HELLO'\r\n"}, {"PING", "+PONG\r\n"}},
     .resp3 = 1},
    {"auto, no such protocol",
     {{"HELLO 3", "-NOPROTO no\r\n"}, {"SELECT 3; PING", "+OK\r\n+PONG\r\n"}},
     .db = 3,
     .resp3 = 1},
    {"auto, hello unknown, login",
     {{HELLO_AUTH, UNKNOWN_HELLO}, {"AUTH " SECRET, "+OK\r\n"}, {"PING", "+PONG\r\n"}},
     LOGIN,
     .resp3 = 1},
    {"auto, hello unknown, login refused",
     {{HELLO_AUTH, UNKNOWN_HELLO}, {"AUTH " SECRET, "-ERR invalid password\r\n"}},
     PMX_CAUSE_AUTH,
     "invalid password",
     LOGIN,
     .resp3 = 1},
    {"auto, wrong password",
     {{HELLO_AUTH, "-WRONGPASS no\r\n"}},
     PMX_CAUSE_AUTH,
     "WRONGPASS",
     LOGIN,
     .resp3 = 1},
    {"push meanwhile",
     {{"HELLO 3", ">2\r\n+invalidate\r\n*0\r\n" HELLO_MAP}, {"PING", ">1\r\n+x\r\n+PONG\r\n"}},
     .resp3 = 1,
     .speaks3 = 1},

    /* RESET first */
    {"reset", {{"RESET", "+RESET\r\n"}, {"PING", "+PONG\r\n"}}, .reset = 1, PLAIN},
    {"reset and login",
     {{"RESET", "+RESET\r\n"}, {"AUTH " SECRET, "+OK\r\n"}, {"SELECT 4; PING", "+OK\r\n+PONG\r\n"}},
     LOGIN,
     .db = 4,
     .reset = 1,
     PLAIN},
    {"reset and hello",
     {{"RESET", "+RESET\r\n"}, {HELLO_AUTH, HELLO_OK}, {"PING", "+PONG\r\n"}},
     LOGIN,
     .reset = 1,
     THREE,
     .speaks3 = 1},
    {"reset unknown",
     {{"RESET", "-ERR unknown command 'RESET'\r\n"}},
     PMX_CAUSE_PROTOCOL,
     "RESET was refused",
     .reset = 1,
     PLAIN},
    {"reset answered by a number",
     {{"RESET", ":0\r\n"}},
     PMX_CAUSE_PROTOCOL,
     "wrong kind",
     .reset = 1,
     PLAIN},
};
enum { TALKS = sizeof talks / sizeof talks[0] };

#endif
