/**
 * The access token for the EchoStream API. It is renewed before it expires. If the refresh token has expired too (after 30
 * days, or because it was revoked), the node signs in again with its password.
 */

import type {
  AuthenticationResultType,
  CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider';
import {
  InitiateAuthCommand,
  RespondToAuthChallengeCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { EchoStreamError, messageOf } from '../errors.ts';
import type { Identity } from '../options.ts';
import { Refreshed } from './refreshed.ts';
import { type Challenge, startSrp } from './srp.ts';

/** Milliseconds before its end at which a token counts as expired. */
const MARGIN = 60_000;

type Result = AuthenticationResultType | undefined;

export class SignIn {
  readonly #cognito: CognitoIdentityProviderClient;
  readonly #identity: Identity;
  readonly #serverTime: () => Date;
  readonly #token: Refreshed<string>;
  #refreshToken: string | undefined;

  /** `serverTime` is Cognito's time: it refuses a sign-in that is minutes off. */
  constructor(cognito: CognitoIdentityProviderClient, identity: Identity, serverTime: () => Date) {
    this.#cognito = cognito;
    this.#identity = identity;
    this.#serverTime = serverTime;
    this.#token = new Refreshed(() => this.#renew());
  }

  /** @throws EchoStreamError SIGN_IN_FAILED */
  accessToken(): Promise<string> {
    return this.#token.value();
  }

  /** To be called when the API has refused the token, even before its end. */
  forget(token: string): void {
    this.#token.forget((kept) => kept === token);
  }

  async #renew(): Promise<{ value: string; milliseconds: number }> {
    try {
      const result = (await this.#byRefreshToken()) ?? (await this.#byPassword());
      if (!result?.AccessToken) throw new Error('Cognito sent no access token');
      if (result.RefreshToken) this.#refreshToken = result.RefreshToken;
      return { value: result.AccessToken, milliseconds: (result.ExpiresIn ?? 3600) * 1000 - MARGIN };
    } catch (error) {
      throw new EchoStreamError(
        'SIGN_IN_FAILED',
        `The node could not sign in to the user pool ${this.#identity.userPoolId}: ${messageOf(error)}. Check username, password, clientId and userPoolId.`,
        { cause: error },
      );
    }
  }

  /** Undefined if there is no refresh token, or Cognito no longer accepts it. */
  async #byRefreshToken(): Promise<Result> {
    if (this.#refreshToken === undefined) return undefined;
    const command = new InitiateAuthCommand({
      AuthFlow: 'REFRESH_TOKEN_AUTH',
      AuthParameters: { REFRESH_TOKEN: this.#refreshToken },
      ClientId: this.#identity.clientId,
    });
    try {
      return (await this.#cognito.send(command)).AuthenticationResult;
    } catch (error) {
      if ((error as Error).name !== 'NotAuthorizedException') throw error;
      this.#refreshToken = undefined;
      return undefined;
    }
  }

  async #byPassword(): Promise<Result> {
    const { clientId, username, password, userPoolId } = this.#identity;
    const srp = startSrp();
    const { ChallengeName, ChallengeParameters, AuthenticationResult } = await this.#cognito.send(
      new InitiateAuthCommand({
        AuthFlow: 'USER_SRP_AUTH',
        AuthParameters: { USERNAME: username, SRP_A: srp.publicValue },
        ClientId: clientId,
      }),
    );
    if (AuthenticationResult) return AuthenticationResult;
    if (ChallengeName !== 'PASSWORD_VERIFIER') throw unexpected(ChallengeName);
    const account = { pool: userPoolId.slice(userPoolId.indexOf('_') + 1), password };
    const answer = await this.#cognito.send(
      new RespondToAuthChallengeCommand({
        ChallengeName,
        ChallengeResponses: srp.answer(
          ChallengeParameters as unknown as Challenge,
          account,
          this.#serverTime(),
        ),
        ClientId: clientId,
      }),
    );
    if (answer.ChallengeName) throw unexpected(answer.ChallengeName);
    return answer.AuthenticationResult;
  }
}

function unexpected(challenge: string | undefined): Error {
  return new Error(
    `Cognito asks for ${challenge ?? 'something'} that a node cannot answer; set a permanent password for the user, and no second factor`,
  );
}
