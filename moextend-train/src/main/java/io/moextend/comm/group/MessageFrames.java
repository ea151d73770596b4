package io.moextend.comm.group;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;

/** Messages as bytes: fields in their order, numbers big-endian, texts as modified UTF-8. */
final class MessageFrames {
  /** Characters of a text; three bytes each at worst stay below the frame's limit. */
  private static final int LONGEST = 10_000;

  private MessageFrames() {}

  static Channel.Frame frame(Message message) {
    var bytes = new ByteArrayOutputStream();
    try {
      byte type = write(message, new DataOutputStream(bytes));
      return new Channel.Frame(type, bytes.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException("memory does not fail to take bytes", e);
    }
  }

  private static byte write(Message message, DataOutputStream out) throws IOException {
    return switch (message) {
      case Message.JoinRank(int world, int generation, Card card) -> {
        out.writeInt(world);
        out.writeInt(generation);
        write(card, out);
        yield 1;
      }
      case Message.JoinNode(int node, int nodes, int ranks, long pid, String host) -> {
        out.writeInt(node);
        out.writeInt(nodes);
        out.writeInt(ranks);
        out.writeLong(pid);
        text(host, out);
        yield 2;
      }
      case Message.Refused(boolean later, String why) -> {
        out.writeBoolean(later);
        text(why, out);
        yield 3;
      }
      case Message.Member(Card card) -> {
        write(card, out);
        yield 4;
      }
      case Message.Ready() -> 5;
      case Message.Beat(Doing doing) -> {
        write(doing, out);
        yield 6;
      }
      case Message.Pulse() -> 7;
      case Message.StopWanted() -> 8;
      case Message.Abort(int rank, String why) -> {
        out.writeInt(rank);
        text(why, out);
        yield 9;
      }
      case Message.Goodbye() -> 10;
      case Message.Failed(String why) -> {
        text(why, out);
        yield 11;
      }
      case Message.Start(int generation, int world, int firstRank) -> {
        out.writeInt(generation);
        out.writeInt(world);
        out.writeInt(firstRank);
        yield 12;
      }
      case Message.RankEnded(int generation, int rank, long pid, int code, String lines) -> {
        out.writeInt(generation);
        out.writeInt(rank);
        out.writeLong(pid);
        out.writeInt(code);
        text(lines, out);
        yield 13;
      }
      case Message.NodeIdle(int generation) -> {
        out.writeInt(generation);
        yield 14;
      }
      case Message.StopRanks(int generation, long grace, String why) -> {
        out.writeInt(generation);
        out.writeLong(grace);
        text(why, out);
        yield 15;
      }
      case Message.Finish(int code, String why) -> {
        out.writeInt(code);
        text(why, out);
        yield 16;
      }
    };
  }

  /**
   * @throws IntruderException where it is none of ours
   */
  static Message message(Channel.Frame frame) throws IntruderException {
    var bytes = new ByteArrayInputStream(frame.payload());
    Message message;
    try {
      message = read(frame.type(), new DataInputStream(bytes));
    } catch (IntruderException e) {
      throw e;
    } catch (IOException | IllegalArgumentException e) {
      throw unreadable(frame);
    }
    if (bytes.available() > 0) {
      throw unreadable(frame);
    }
    return message;
  }

  private static Message read(byte type, DataInputStream in) throws IOException {
    return switch (type) {
      case 1 -> new Message.JoinRank(in.readInt(), in.readInt(), card(in));
      case 2 ->
          new Message.JoinNode(
              in.readInt(), in.readInt(), in.readInt(), in.readLong(), in.readUTF());
      case 3 -> new Message.Refused(in.readBoolean(), in.readUTF());
      case 4 -> new Message.Member(card(in));
      case 5 -> new Message.Ready();
      case 6 -> new Message.Beat(doing(in));
      case 7 -> new Message.Pulse();
      case 8 -> new Message.StopWanted();
      case 9 -> new Message.Abort(in.readInt(), in.readUTF());
      case 10 -> new Message.Goodbye();
      case 11 -> new Message.Failed(in.readUTF());
      case 12 -> new Message.Start(in.readInt(), in.readInt(), in.readInt());
      case 13 ->
          new Message.RankEnded(
              in.readInt(), in.readInt(), in.readLong(), in.readInt(), in.readUTF());
      case 14 -> new Message.NodeIdle(in.readInt());
      case 15 -> new Message.StopRanks(in.readInt(), in.readLong(), in.readUTF());
      case 16 -> new Message.Finish(in.readInt(), in.readUTF());
      default ->
          throw new IntruderException(
              "unknown message", "a message of type %d; is it another version?".formatted(type));
    };
  }

  private static IntruderException unreadable(Channel.Frame frame) {
    return new IntruderException(
        "unknown message",
        "a message of type %d with %d bytes that are not its own; is it another version?"
            .formatted(frame.type(), frame.payload().length));
  }

  private static void write(Card card, DataOutputStream out) throws IOException {
    out.writeInt(card.rank());
    out.writeLong(card.pid());
    text(card.host(), out);
    out.writeShort(card.details().length);
    out.write(card.details());
  }

  private static Card card(DataInputStream in) throws IOException {
    int rank = in.readInt();
    long pid = in.readLong();
    String host = in.readUTF();
    int length = in.readUnsignedShort();
    if (length > Card.MOST_DETAILS) {
      throw new IntruderException("unknown message", "a card of %d bytes".formatted(length));
    }
    byte[] details = new byte[length];
    in.readFully(details);
    return new Card(rank, pid, host, details);
  }

  private static void write(Doing doing, DataOutputStream out) throws IOException {
    out.writeLong(doing.sequence());
    text(doing.operation(), out);
    out.writeBoolean(doing.inCall());
    out.writeLong(doing.since().toMillis());
    out.writeInt(doing.peer());
  }

  private static Doing doing(DataInputStream in) throws IOException {
    return new Doing(
        in.readLong(),
        in.readUTF(),
        in.readBoolean(),
        Duration.ofMillis(in.readLong()),
        in.readInt());
  }

  private static void text(String text, DataOutputStream out) throws IOException {
    out.writeUTF(text.length() > LONGEST ? text.substring(0, LONGEST) : text);
  }
}
