// An application that signs people in with go-oidc and golang.org/x/oauth2, as their documentation shows it. Its ID
// tokens are signed with EdDSA, and its logout tokens are checked by go-oidc.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type claims map[string]any

type session struct {
	token     *oauth2.Token
	idToken   string
	claims    claims
	userinfo  claims
	refreshed int
}

// party is the application; it keeps the session of one person, because it is a test.
type party struct {
	url      string
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	config   oauth2.Config
	endpoint struct {
		EndSession string `json:"end_session_endpoint"`
	}
	session                *session
	state, nonce, verified string
}

func main() {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, os.Getenv("PARTY_ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	p := &party{url: os.Getenv("PARTY_URL"), provider: provider}
	p.verifier = provider.VerifierContext(ctx, &oidc.Config{
		ClientID:             os.Getenv("PARTY_CLIENT_ID"),
		SupportedSigningAlgs: []string{oidc.EdDSA},
	})
	p.config = oauth2.Config{
		ClientID:     os.Getenv("PARTY_CLIENT_ID"),
		ClientSecret: os.Getenv("PARTY_CLIENT_SECRET"),
		Endpoint:     provider.Endpoint(),
		RedirectURL:  p.url + "/callback",
		Scopes:       []string{oidc.ScopeOpenID, "profile", "email", "groups", oidc.ScopeOfflineAccess},
	}
	if err := provider.Claims(&p.endpoint); err != nil {
		log.Fatal(err)
	}
	for path, page := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/{$}": p.show, "/login": p.logIn, "/callback": p.finish, "/refresh": p.refresh, "/logout": p.logOut,
		"/signed-out": p.showSignedOut, "/back-channel": p.logOutByBackChannel,
	} {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			if err := page(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PARTY_PORT"), nil))
}

func (p *party) show(w http.ResponseWriter, _ *http.Request) error {
	shown := map[string]any{"claims": nil, "userinfo": nil, "refreshed": nil}
	if s := p.session; s != nil {
		shown = map[string]any{"claims": s.claims, "userinfo": s.userinfo, "refreshed": s.refreshed}
	}
	return json.NewEncoder(w).Encode(shown)
}

func (p *party) logIn(w http.ResponseWriter, r *http.Request) error {
	p.state, p.nonce, p.verified = rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeOption(p.verified)
	http.Redirect(w, r, p.config.AuthCodeURL(p.state, oidc.Nonce(p.nonce), challenge), http.StatusFound)
	return nil
}

func (p *party) finish(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if query.Get("state") != p.state || query.Get("iss") != os.Getenv("PARTY_ISSUER") {
		return errors.New("not my answer")
	}
	token, err := p.config.Exchange(r.Context(), query.Get("code"), oauth2.VerifierOption(p.verified))
	if err != nil {
		return err
	}
	s := &session{token: token}
	idToken, err := p.verify(r.Context(), s)
	if err != nil {
		return err
	}
	if idToken.Nonce != p.nonce {
		return errors.New("not my nonce")
	}
	if err := p.ask(r.Context(), s); err != nil {
		return err
	}
	p.session = s
	http.Redirect(w, r, "/", http.StatusFound)
	return nil
}

// verify checks the ID token that came with an access token.
func (p *party) verify(ctx context.Context, s *session) (*oidc.IDToken, error) {
	s.idToken, _ = s.token.Extra("id_token").(string)
	idToken, err := p.verifier.Verify(ctx, s.idToken)
	if err != nil {
		return nil, err
	}
	if err := idToken.VerifyAccessToken(s.token.AccessToken); err != nil {
		return nil, err
	}
	return idToken, idToken.Claims(&s.claims)
}

// ask reads the userinfo.
func (p *party) ask(ctx context.Context, s *session) error {
	info, err := p.provider.UserInfo(ctx, oauth2.StaticTokenSource(s.token))
	if err != nil {
		return err
	}
	s.userinfo = nil
	return info.Claims(&s.userinfo)
}

func (p *party) refresh(w http.ResponseWriter, r *http.Request) error {
	old := p.session.token
	token, err := p.config.TokenSource(r.Context(), &oauth2.Token{RefreshToken: old.RefreshToken}).Token()
	if err != nil {
		return err
	}
	if token.AccessToken == old.AccessToken || token.RefreshToken == old.RefreshToken {
		return errors.New("the same tokens")
	}
	p.session.token = token
	if _, err := p.verify(r.Context(), p.session); err != nil {
		return err
	}
	if err := p.ask(r.Context(), p.session); err != nil {
		return err
	}
	p.session.refreshed++
	http.Redirect(w, r, "/", http.StatusFound)
	return nil
}

func (p *party) logOut(w http.ResponseWriter, r *http.Request) error {
	query := url.Values{
		"id_token_hint": {p.session.idToken}, "post_logout_redirect_uri": {p.url + "/signed-out"}, "state": {"s1"},
	}
	p.session = nil
	http.Redirect(w, r, p.endpoint.EndSession+"?"+query.Encode(), http.StatusFound)
	return nil
}

func (p *party) showSignedOut(w http.ResponseWriter, r *http.Request) error {
	return json.NewEncoder(w).Encode(map[string]string{"signed_out": r.URL.Query().Get("state")})
}

func (p *party) logOutByBackChannel(w http.ResponseWriter, r *http.Request) error {
	token, err := p.verifier.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		return err
	}
	if p.session != nil && p.session.claims["sid"] == token.SessionID {
		p.session = nil
	}
	w.Header().Set("Cache-Control", "no-store")
	return nil
}
