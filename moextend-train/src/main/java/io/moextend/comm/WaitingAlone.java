package io.moextend.comm;

/** Passes on waiting, for a part of a collective whose calls the vigil hears of from the whole. */
class WaitingAlone implements Vigil {
  private final Vigil vigil;

  WaitingAlone(Vigil vigil) {
    this.vigil = vigil;
  }

  @Override
  public void entered(long sequence, String operation) {
    // the whole says it
  }

  @Override
  public void waiting(int peer) {
    vigil.waiting(peer);
  }

  @Override
  public void left(long sequence) {
    // the whole says it
  }
}
