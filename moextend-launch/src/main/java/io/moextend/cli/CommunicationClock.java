package io.moextend.cli;

import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.Exposure;
import io.moextend.train.CommunicationTime;
import java.util.function.Supplier;

/** What a conversation took since its beginning, added up from what it took since it was asked. */
final class CommunicationClock implements Supplier<CommunicationTime> {
  private final Conversation conversation;
  private double seconds;
  private double exposed;

  CommunicationClock(Conversation conversation) {
    this.conversation = conversation;
  }

  @Override
  public CommunicationTime get() {
    Exposure since = conversation.exposure();
    seconds += since.totalSeconds();
    exposed += since.exposedSeconds();
    return new CommunicationTime(seconds, exposed);
  }
}
