package io.moextend.comm.aeron;

/** The wire cannot be laid on this host as asked; the message says what to change. */
public final class AeronTransportException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public AeronTransportException(String message) {
    super(message);
  }

  public AeronTransportException(String message, Throwable cause) {
    super(message, cause);
  }
}
