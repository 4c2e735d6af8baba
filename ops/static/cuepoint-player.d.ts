/** Cuepoint's client for web players. See docs/player.md. */

export interface Session {
  session_id: string;
  token: string;
  /** Number of the first event; a session that goes on over several pages continues its count. */
  seq?: number;
}

/** What video_started says of a clip; further fields of player-event.v1 may be given. */
export interface Clip {
  video_id: string;
  duration_s?: number;
  category?: string;
  channel?: string;
  playlist_id?: string;
  playlist_number?: number;
  playlist_length?: number;
  cue_points_s?: number[];
  [field: string]: unknown;
}

/** ad-decision.v1, as far as showing an ad needs it. */
export interface Decision {
  decision_id?: string;
  rule_id?: string;
  video_id?: string;
  duration_s: number;
  format: { type?: string; screen?: string; skip_after_s?: number };
  [field: string]: unknown;
}

export interface Ad {
  title: string;
  type: string;
  skip_after_s?: number | null;
  media: { url: string; media_type?: string }[];
  image_url?: string | null;
  click_url?: string | null;
  /** Addresses to be asked for at each event; `[ERRORCODE]` is filled in. */
  tracking: Record<string, string[]>;
}

export interface Break {
  ads: Ad[];
  tracking?: Record<string, string[]>;
}

/** What adstart, adend and unlock carry: `done` are the events told so far. */
export interface Shown {
  decision: Decision;
  ad: Ad;
  screen: string;
  name: string;
  done: Set<string>;
}

export interface Options {
  session: Session | ((again?: string) => Session | Promise<Session>);
  api?: string;
  viewer?: Record<string, unknown>;
  heartbeatS?: number;
  batchMs?: number;
  waitS?: number;
  adTimeoutS?: number;
  pollS?: number;
  queue?: number;
  decisions?: boolean;
  slots?: Record<string, HTMLElement>;
  mutedStart?: boolean;
  before?: (player: CuepointPlayer) => void | Promise<unknown>;
}

export class CuepointPlayer extends EventTarget {
  static attach(video: HTMLVideoElement, options: Options): Promise<CuepointPlayer>;
  readonly id: string;
  readonly video: HTMLVideoElement;
  /** The element that holds clip and ads. */
  readonly root: HTMLDivElement;
  /** Address of the session at the API, and its token as a query, for further calls. */
  readonly base: string;
  readonly query: string;
  open(clip: Clip): void;
  play(): Promise<void>;
  act(action: string): void;
  fullscreen(): Promise<void>;
  insert(decision: Decision, given: Break | Promise<Break>): Promise<void>;
  standAside(): () => void;
  /** Tells of an ad that somebody else shows, each event once: at its addresses, and, of `kind`, as the session's event. */
  tell(line: Pick<Shown, "ad" | "done"> & { decision?: Partial<Decision> }, event: string, kind?: string): void;
  close(): void;
}
