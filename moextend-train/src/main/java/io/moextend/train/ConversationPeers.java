package io.moextend.train;

import io.moextend.comm.device.Conversation;

/** The other ranks over the conversation that gradients and weights go over too. */
public record ConversationPeers(Conversation conversation) implements Peers {
  @Override
  public int rank() {
    return conversation.rank();
  }

  @Override
  public int world() {
    return conversation.world();
  }

  @Override
  public double[][] gather(String what, double... values) {
    return conversation.gather(what, values);
  }

  @Override
  public void barrier(String what) {
    conversation.barrier(what);
  }
}
