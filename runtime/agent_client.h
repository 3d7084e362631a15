/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the agent of a container's VM, and its streams. */
#ifndef RUNTIME_AGENT_CLIENT_H
#define RUNTIME_AGENT_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

#define AGENT_SERVICE "cella.agent.Agent"
#define AGENT_TIMEOUT_MS 60000

/* A vsock connection through the VMM's socket vm_dir/vsock to this port of the guest. A blocking descriptor or -errno. */
int agent_dial(const char *vm_dir, unsigned int port, struct err *err) must_check;

/* One call on a connection of its own, for commands. The answer is thrown away (answer NULL) or the caller's. */
int agent_call_once(const char *vm_dir, const char *method, const ProtobufCMessage *request,
		    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **answer, struct err *err) must_check;

/* A fresh stdio token: 32 hexadecimal digits and NUL. */
int agent_make_token(char token[33], struct err *err) must_check;

/* The connection for one standard stream. */
int agent_dial_stream(const char *vm_dir, const char *token, unsigned int stream, struct err *err) must_check;

#endif
