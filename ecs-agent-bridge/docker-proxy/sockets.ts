/**
 * Makes unix sockets fit for large streams: they read into the same memory again and again, and the kernel holds enough
 * of what is written that neither side waits for the other at each turn. Node does neither for a connection that it
 * accepts, so this takes what it does not document, the handle below a socket.
 */

import { Socket, type SocketConstructorOpts } from 'node:net';
import { setSendBuffer } from '../../uinput-native/send-buffer.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** Bytes. */
const SEND_BUFFER = 2 ** 20;

interface Inner {
  _handle: { readonly fd: number } | null;
}

/** Lets more bytes wait for whoever reads what is written to a connected socket. */
export function widen(socket: Socket): void {
  const { _handle: handle } = socket as unknown as Inner;
  if (handle) setSendBuffer(handle.fd, SEND_BUFFER);
}

/** @returns a socket in the place of one that was just accepted; they close together */
export function adopt(accepted: Socket, buffers: ReadBuffers): Socket {
  const inner = accepted as unknown as Inner;
  const options = { handle: inner._handle, allowHalfOpen: true, onread: buffers };
  const socket = new Socket(options as unknown as SocketConstructorOpts);
  inner._handle = null;
  accepted.on('close', () => socket.destroy());
  socket.on('close', () => accepted.destroy());
  socket.on('close', buffers.close);
  widen(socket);
  return socket;
}
