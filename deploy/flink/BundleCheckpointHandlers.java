package org.apache.beam.runners.fnexecution.control;

import java.util.Collections;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.DelayedBundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.runners.core.StateInternalsFactory;
import org.apache.beam.runners.core.StateNamespace;
import org.apache.beam.runners.core.StateNamespaces;
import org.apache.beam.runners.core.StateTags;
import org.apache.beam.runners.core.TimerInternalsFactory;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.state.TimeDomain;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.joda.time.Instant;

/**
 * Stands before the class of the same name in Beam 2.70, which keeps what a reader has left at each of its pauses in a state
 * with a new name. Flink never drops a named state (apache/beam issue 27648). Here a few names are used by turns: more than
 * one, since a state may be cleared after the next was written. A reader has one thing left at a time, and states are
 * kept by key, so two never meet under one name.
 */
public class BundleCheckpointHandlers {
  public static class StateAndTimerBundleCheckpointHandler<T> implements BundleCheckpointHandler {
    public static final String SDF_PREFIX = "sdf_checkpoint";
    private static final int NAMES = 16;
    private final TimerInternalsFactory<T> timers;
    private final StateInternalsFactory<T> states;
    private final Coder<WindowedValue<T>> coder;
    private final Coder<BoundedWindow> windows;
    private int turn;

    @SuppressWarnings("unchecked")
    public StateAndTimerBundleCheckpointHandler(
        TimerInternalsFactory<T> timers, StateInternalsFactory<T> states, Coder<WindowedValue<T>> coder, Coder windows) {
      this.timers = timers;
      this.states = states;
      this.coder = coder;
      this.windows = windows;
    }

    public static boolean isSdfTimer(String timerId) {
      return timerId.startsWith(SDF_PREFIX);
    }

    @Override
    public void onCheckpoint(ProcessBundleResponse response) {
      turn = (turn + 1) % NAMES;
      for (int index = 0; index < response.getResidualRootsCount(); index++) {
        DelayedBundleApplication left = response.getResidualRoots(index);
        if (left.hasApplication()) {
          try {
            keep(SDF_PREFIX + ":" + turn + ":" + index, left);
          } catch (Exception e) {
            throw new RuntimeException("cannot keep what a reader has left", e);
          }
        }
      }
    }

    private void keep(String name, DelayedBundleApplication left) throws Exception {
      WindowedValue<T> element = CoderUtils.decodeFromByteArray(coder, left.getApplication().getElement().toByteArray());
      long delay = left.hasRequestedTimeDelay() ? left.getRequestedTimeDelay().getSeconds() * 1000L : 0;
      Instant due = Instant.now().plus(delay);
      var marks = left.getApplication().getOutputWatermarksMap().values();
      long hold = marks.isEmpty() ? BoundedWindow.TIMESTAMP_MIN_VALUE.getMillis()
          : marks.stream().mapToLong(mark -> mark.getSeconds() * 1000L).min().getAsLong();
      hold = Math.min(hold, BoundedWindow.TIMESTAMP_MAX_VALUE.getMillis());
      for (BoundedWindow window : (Iterable<BoundedWindow>) (Iterable<?>) element.getWindows()) {
        StateNamespace namespace = StateNamespaces.window(windows, window);
        timers.timerInternalsForKey(element.getValue())
            .setTimer(namespace, name, "", due, Instant.ofEpochMilli(hold), TimeDomain.PROCESSING_TIME);
        states.stateInternalsForKey(element.getValue()).state(namespace, StateTags.value(name, coder)).write(
            WindowedValues.of(element.getValue(), element.getTimestamp(), Collections.singletonList(window), element.getPaneInfo()));
      }
    }
  }
}
