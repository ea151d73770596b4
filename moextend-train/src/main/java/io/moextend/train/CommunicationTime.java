package io.moextend.train;

/**
 * Time one rank's exchanges with others took.
 *
 * @param seconds in exchanges, whatever else went on
 * @param exposedSeconds of these, in which the loop did nothing but wait for them
 */
public record CommunicationTime(double seconds, double exposedSeconds) {
  CommunicationTime since(CommunicationTime earlier) {
    return new CommunicationTime(
        seconds - earlier.seconds, exposedSeconds - earlier.exposedSeconds);
  }
}
